"""requests over gevent sockets, without patching the process.

A ``requests`` adapter whose pool manager makes connections of ours: they open gevent sockets, and
wrap them with gevent's TLS. Greenlets of the thread that opened the transport share it and wait
together; a call from any other thread takes an ordinary blocking session, so that no hub is left
behind in threads that are not ours.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gevent
import greenlet
import requests
import urllib3
from gevent._hub_local import get_hub_if_exists  # asks without making one; gevent has no public way
from requests.adapters import HTTPAdapter

from mixpanel_fetch.adapters import BlockingAdapter, CooperativeAdapter, before_sending
from mixpanel_fetch.body import ENCODINGS, read_body
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, ServerError
from mixpanel_fetch.sizes import MIB, in_words
from mixpanel_fetch.wire_errors import explained

_MOST_OF_AN_ERROR = 64 * 1024  # bytes: what the body of an answer that is no page may come to


class _Session(requests.Session):
    """Follows nothing. Only to learn where a redirect leads, requests reads its whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, for any answer."""


@dataclass(frozen=True)
class Answer:
    """What came back: the status, headers (any case), and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HubLease:
    """gevent's hub of this thread, given back on exit if this lease made it.

    A hub per thread that nobody destroys leaks descriptors and threads; destroying one that a
    host already had breaks the host.
    """

    def __init__(self) -> None:
        self._made = get_hub_if_exists() is None
        self._released = False
        self.hub = gevent.get_hub()
        # An interrupt passes through the hub on its way to the caller: no error to report there.
        self._not_error = self.hub.NOT_ERROR
        self.hub.NOT_ERROR = (*self._not_error, KeyboardInterrupt)

    def __enter__(self) -> HubLease:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def release(self) -> None:
        """Leave the hub as it was; destroy it if this lease made it. Once."""
        if self._released:
            return
        self._released = True
        self.hub.NOT_ERROR = self._not_error
        if self._made:
            self.hub.destroy()
            # What is left is suspended for good, and would keep every object of the run alive.
            with contextlib.suppress(greenlet.error):  # it belongs to another thread
                self.hub.throw()

    def is_current(self) -> bool:
        """Whether the caller runs in the thread (and hub) that took this lease."""
        return get_hub_if_exists() is self.hub


def pause(seconds: float) -> None:
    """Wait ``seconds``: cooperatively in a thread that has a hub, plainly in any other."""
    if get_hub_if_exists() is None:
        time.sleep(seconds)
    else:
        gevent.sleep(seconds)


class Transport:
    """Posts forms; cooperative in the thread that made it, blocking in any other.

    Timeouts are in seconds. ``verify`` is a CA bundle's path, or None for what the environment
    (``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``) or certifi says. Proxies come from the usual
    environment variables. ``trust_environment=False`` ignores them all. ``max_body_bytes`` is
    what the body of a page may come to, decoded or not.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        read_timeout: float,
        verify: str | None = None,
        trust_environment: bool = True,
        max_body_bytes: int = 256 * MIB,
    ) -> None:
        self._max_body_bytes = min(max_body_bytes, sys.maxsize - 1)  # what zlib can count to
        self._timeout = (connect_timeout, read_timeout)
        self._verify = verify
        self._trust_environment = trust_environment
        self._lease = HubLease()
        self._cooperative = self._session(CooperativeAdapter())
        self._blocking: dict[str, requests.Session] = {}
        self._environments: dict[str, Mapping[str, Any]] = {}

    def _session(self, adapter: HTTPAdapter) -> requests.Session:
        session = _Session()
        session.trust_env = self._trust_environment
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, and the hub if this transport made it."""
        for session in (self._cooperative, *self._blocking.values()):
            session.close()
        self._lease.release()

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, str],
        form: Mapping[str, str],
        auth: tuple[str, str],
        confirm: Callable[[], None] | None = None,
    ) -> Answer:
        """Post ``form`` and return the whole answer, whatever its status.

        ``confirm`` is called right before the request is sent, over a connection that is open.

        Redirects are not followed: credentials go to the host that was asked, and no other. Of an
        answer that is no 200, the beginning is enough. Raises TransportError when no whole answer
        came, ServerError for a page larger than ``max_body_bytes``, ConfigError for what cannot
        be asked: an address that is none, or text that is not Unicode.
        """
        failure: MixpanelFetchError
        outer = before_sending.set(confirm)
        try:
            return self._post(url, params, form, auth)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = explained(error, url)
        except UnicodeError:
            failure = ConfigError(
                "the credentials, the query or the address are not text in UTF-8; check the"
                " environment and the arguments"
            )
        except ValueError as error:  # from PySocks
            failure = explained(error, url)
        finally:
            before_sending.reset(outer)
        # Raised out here, it carries neither the request nor the text, which hold the credentials.
        raise failure

    def _post(
        self, url: str, params: Mapping[str, str], form: Mapping[str, str], auth: tuple[str, str]
    ) -> Answer:
        session = self._current_session()
        request = session.prepare_request(
            requests.Request(
                "POST",
                url,
                params=dict(params),
                data=dict(form),
                auth=(auth[0].encode(), auth[1].encode()),
                headers={"Accept": "application/json", "Accept-Encoding": ENCODINGS},
            )
        )
        settings = self._environment(session, request.url or url)
        response = session.send(request, timeout=self._timeout, allow_redirects=False, **settings)
        # Leaving closes the connection if some of the body was not read.
        with response:
            body = self._body(response.status_code, response.raw)
            return Answer(response.status_code, response.headers, body)

    def _body(self, status: int, raw: urllib3.BaseHTTPResponse) -> bytes:
        if status != 200:
            return read_body(raw, _MOST_OF_AN_ERROR)[:_MOST_OF_AN_ERROR]
        most = self._max_body_bytes
        if (raw.length_remaining or 0) <= most:
            body = read_body(raw, most)
            if len(body) <= most:
                return body
        raise ServerError(
            f"Mixpanel's answer is larger than {in_words(most)}; raise --max-page-bytes or ask"
            " for fewer rows with --page-size",
            transient=False,
        )

    def _environment(self, session: requests.Session, url: str) -> Mapping[str, Any]:
        """Return what the environment says of proxies and trust for the host of ``url``.

        Read once a host: going through all variables takes as long as preparing a request.
        """
        host = urlsplit(url).netloc
        if host not in self._environments:
            settings = session.merge_environment_settings(
                url, {}, stream=True, verify=self._verify, cert=None
            )
            if self._verify is not None:
                settings["verify"] = self._verify
            self._environments[host] = settings
        return self._environments[host]

    def _current_session(self) -> requests.Session:
        if self._lease.is_current():
            return self._cooperative
        if not self._blocking:
            self._blocking.setdefault("session", self._session(BlockingAdapter()))
        return self._blocking["session"]
