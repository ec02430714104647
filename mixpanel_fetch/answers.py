"""What a status code and its body mean (facts of Mixpanel's API: "Status codes", "Rate limits")."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from mixpanel_fetch.errors import (
    AuthenticationError,
    MixpanelFetchError,
    PaymentRequiredError,
    QueryError,
    ServerError,
    SessionExpiredError,
    TransportError,
)
from mixpanel_fetch.quota import LONGEST_SANE_WAIT, parse_retry_after, read_rate_limit
from mixpanel_fetch.transport import Answer

_LONGEST_MESSAGE = 300  # characters of a server's text that are worth a line


def error_of(answer: Answer) -> MixpanelFetchError | None:
    """Return the error that ``answer`` stands for, None for a 200."""
    status = answer.status
    if status == 200:
        return None
    text = server_text(answer.body)
    if status == 429:
        return read_rate_limit(answer.headers, text)
    if status >= 500:
        asked = parse_retry_after(answer.headers.get("Retry-After"))
        sane = asked if asked is not None and asked <= LONGEST_SANE_WAIT else None
        return ServerError(f"Mixpanel failed with {status}", status=status, retry_after=sane)
    if status == 400:
        return _bad_request(text)
    if status == 401:
        return _refused(status, text)
    if status == 402:
        return PaymentRequiredError(
            f"the project's plan has no Query API (402: {_first_sentence(text)}); upgrade the plan,"
            " or fetch from another project"
        )
    if status == 403:
        return AuthenticationError(
            f"the credentials are good, but not for this project (403: {text}); check"
            " MP_PROJECT_ID, or have the account added",
            status=status,
        )
    if status == 407:
        return TransportError(
            f"the proxy wants a user name and a password (407: {text}); put them into HTTP_PROXY",
            transient=False,
        )
    if status in {413, 414}:
        return QueryError(f"the query is too long for Mixpanel ({status})")
    if 300 <= status < 400:
        target = _host_of(answer.headers.get("Location", ""))
        return ServerError(
            f"the server redirects to {target or 'another address'}, which is not followed with"
            " credentials; check MP_REGION and MP_API_BASE_URL",
            status=status,
            transient=False,
        )
    return ServerError(
        f"unexpected answer {status}: {text}; check MP_API_BASE_URL", status=status, transient=False
    )


def _bad_request(text: str) -> MixpanelFetchError:
    if "unable to authenticate" in text.lower():
        return _refused(400, text)
    if "uncached query" in text.lower():
        return SessionExpiredError("the session expired: Mixpanel no longer holds its result")
    return QueryError(f"Mixpanel refused the query (400: {text})")


def _refused(status: int, text: str) -> AuthenticationError:
    return AuthenticationError(
        f"Mixpanel refused the credentials ({status}: {text}); check MP_USERNAME, MP_SECRET,"
        " MP_PROJECT_ID and MP_REGION: `mp auth test` says which",
        status=status,
    )


def server_text(body: bytes) -> str:
    """Return what an error body says, as one short line; JSON bodies say it under ``error``."""
    text = body[:65_536].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        text = document["error"]
    line = _printable(text)
    if line.startswith("<"):
        return "an HTML page"
    return line[:_LONGEST_MESSAGE] or "no reason given"


def _host_of(location: str) -> str:
    try:
        return _printable(urlsplit(location).netloc.rpartition("@")[2])[:_LONGEST_MESSAGE]
    except ValueError:
        return ""


def _first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].rstrip(".")


def _printable(text: str) -> str:
    """Return ``text`` on one line, without what would move a terminal's cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
