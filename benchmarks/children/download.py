"""Reads every page over five connections and does nothing with it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import math
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

_AT_ONCE = 5
_TIMEOUT = 60.0
_HEADERS = {
    "Authorization": "Basic " + base64.b64encode(b"demo:demo-secret").decode(),
    "Content-Type": "application/x-www-form-urlencoded",
}


@dataclass(frozen=True)
class Server:
    """Where the pages are. ``ca_bundle`` is the PEM file to trust, for TLS.

    ``page_size``: how many profiles a page to ask for, None for the server's own number.
    """

    base_url: str
    ca_bundle: str | None = None
    page_size: int | None = None

    def connection(self) -> http.client.HTTPConnection:
        """Return a new connection, not opened yet."""
        place = urlsplit(self.base_url).netloc
        if self.ca_bundle is None:
            return http.client.HTTPConnection(place, timeout=_TIMEOUT)
        trust = ssl.create_default_context(cafile=self.ca_bundle)
        return http.client.HTTPSConnection(place, timeout=_TIMEOUT, context=trust)

    def pages(self) -> list[bytes]:
        """Return every page's answer, in order. Raises RuntimeError for any but a 200."""
        first = self._read([0], None)[0]
        envelope = json.loads(first)
        count = math.ceil(envelope["total"] / envelope["page_size"])
        shares = [range(start, count, _AT_ONCE) for start in range(1, min(count, _AT_ONCE + 1))]
        pages = {0: first}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            reads = [pool.submit(self._read, share, envelope["session_id"]) for share in shares]
            for share, read in zip(shares, reads, strict=True):
                pages.update(zip(share, read.result(), strict=True))
        return [pages[index] for index in range(count)]

    def _read(self, indices: range | list[int], session_id: str | None) -> list[bytes]:
        with contextlib.closing(self.connection()) as connection:
            forms = (self._form(index, session_id) for index in indices)
            return [_page(connection, form) for form in forms]

    def _form(self, index: int, session_id: str | None) -> dict[str, int | str]:
        form = {"page": index, "session_id": session_id, "page_size": self.page_size}
        return {name: value for name, value in form.items() if value is not None}


def _page(connection: http.client.HTTPConnection, form: dict[str, int | str]) -> bytes:
    connection.request(
        "POST", "/api/query/engage?project_id=12345", urlencode(form).encode(), _HEADERS
    )
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise RuntimeError(f"{form}: the simulator answered {response.status}")
    return body


def run(
    base_url: str, ca_bundle: str | None = None, page_size: int | None = None
) -> dict[str, Any]:
    """Give the seconds that reading took, and the pages and bytes."""
    started = time.perf_counter()
    pages = Server(base_url, ca_bundle, page_size).pages()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "pages": len(pages), "bytes": sum(map(len, pages))}
