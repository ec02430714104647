"""This machine's clock against the server's."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from mixpanel_fetch.errors import TransportError
from mixpanel_fetch.transport import Answer

_DRIFT = timedelta(minutes=5)
_PATIENCE = 10.0  # seconds


def clock_drift(answer: Answer) -> Iterator[str]:
    """Yield a line if the ``Date`` of ``answer`` is far from this machine's time."""
    theirs = _moment(answer.headers.get("Date"))
    if theirs is not None and abs(theirs - _now()) > _DRIFT:
        yield f"{_both(theirs)}; set the clock"


def explained_by_clock(error: TransportError, host: str) -> TransportError:
    """Return ``error``, of a certificate out of its time, with what the server's clock says."""
    theirs = _clock_of(host)
    if theirs is None:
        return error
    said = f"the TLS certificate of {host}"
    if abs(theirs - _now()) > _DRIFT:
        return TransportError(
            f"{said} cannot be checked: {_both(theirs)}; set the clock",
            transient=False,
            expired=True,
        )
    return TransportError(
        f"{said} is out of its time, and this machine's clock is right; whoever runs the server has"
        " to renew it",
        transient=False,
        expired=True,
    )


def _clock_of(host: str) -> datetime | None:
    """Return what time it is by the server, asked without credentials; None if it will not say."""
    parts = urlsplit(f"//{host}")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent, and little is believed
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=_PATIENCE, context=context
    )
    with closing(connection):
        try:
            connection.request("HEAD", "/")
            return _moment(connection.getresponse().getheader("Date"))
        except (OSError, http.client.HTTPException):
            return None


def _both(theirs: datetime) -> str:
    return (
        f"this machine's clock says {_now():%Y-%m-%d %H:%M} UTC, the server's"
        f" {theirs.astimezone(timezone.utc):%Y-%m-%d %H:%M}"
    )


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _now() -> datetime:
    return datetime.now(timezone.utc)
