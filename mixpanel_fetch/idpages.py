"""The pages of a fetch of named profiles: each holds the answer to some of the ids.

Mixpanel takes several ids in one query, how many it does not say, so they are asked for in chunks.
A chunk is a query of its own: it has no session to share, counts against the hour, and may be asked
for at any time, in parallel and in a resume, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.decode import DecodedPage
from mixpanel_fetch.inflight import InflightBytes
from mixpanel_fetch.joined import fetch_joined
from mixpanel_fetch.model import Page, ProfileQuery
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.session import EngageSession
from mixpanel_fetch.source import EngagePages, OpenedPages
from mixpanel_fetch.transport import pause

IDS_PER_REQUEST = 1000
"""As many as a page of Mixpanel's own size holds. Another number is ``page_size``."""
LONGEST_LIST = 256 * 1024
"""Bytes of JSON; what a request may come to is not documented."""


@dataclass(frozen=True)
class IdSession(EngageSession):
    """What is known of a fetch by ids: how many chunks there are, and not how many profiles."""

    chunks: int = 1

    @property
    def total_pages(self) -> int:
        """How many chunks there are."""
        return self.chunks

    def rows_due(self, index: int) -> int:  # noqa: ARG002
        """Return 0: an id may have no profile."""
        return 0


class IdPages(EngagePages):
    """A :class:`~mixpanel_fetch.protocols.PageSource` of chunks of ids."""

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        chunks: Sequence[tuple[str, ...]],
        paging: Paging,
    ) -> None:
        session = IdSession(None, None, len(max(chunks, key=len)), paging.asked, len(chunks))
        inflight = InflightBytes(paging.max_inflight_bytes, sleep=pause)
        super().__init__(connection, settings, query, session, inflight=inflight)
        self._chunks = chunks
        self._paging = paging
        self._found: dict[int, int] = {}

    def remarks(self) -> tuple[str, ...]:
        """Say how many ids have no profile, where every chunk was asked for here."""
        asked = sum(map(len, self._chunks))
        unfound = asked - sum(self._found.values())
        if len(self._found) < len(self._chunks) or unfound <= 0:
            return ()
        return (f"{unfound:,} of the {asked:,} ids have no profile",)

    def portable(self) -> PortableIds:
        """Return a picklable twin, for another process; it carries the credentials."""
        return PortableIds(self._settings, self.query, self._paging)

    def _fetch_once(self, index: int) -> tuple[DecodedPage, int, int]:
        query = replace(self.query, distinct_ids=self._chunks[index])
        asked = self.session.asked_page_size
        page, size, attempts = fetch_joined(self._connection, query, index, asked)
        self._found[index] = page.rows_received
        return page, size, attempts


@dataclass(frozen=True)
class PortableIds:
    """A :class:`~mixpanel_fetch.protocols.PageFetcher`: open it in the process that fetches."""

    settings: ClientSettings
    query: ProfileQuery
    paging: Paging

    def open(self, gate: Gate) -> OpenedIds:
        """Return the source. Close it in the thread that opened it."""
        return OpenedIds(self, gate)


class OpenedIds(IdPages):
    """Pages in a process of their own: they hold a transport, and :meth:`close` lets go of it."""

    def __init__(self, portable: PortableIds, gate: Gate) -> None:
        self._transport = portable.settings.transport()
        connection = EngageConnection(portable.settings, gate, self._transport)
        chunks = chunks_of(portable.query.distinct_ids or (), portable.paging)
        super().__init__(connection, portable.settings, portable.query, chunks, portable.paging)

    close = OpenedPages.close


def open_ids(
    connection: EngageConnection, settings: ClientSettings, query: ProfileQuery, paging: Paging
) -> tuple[IdPages, Page]:
    """Ask for the first chunk; return the chunks and the first one. Raises what that raises."""
    pages = reopened_ids(connection, settings, query, paging)
    return pages, pages.fetch(0)


def reopened_ids(
    connection: EngageConnection, settings: ClientSettings, query: ProfileQuery, paging: Paging
) -> IdPages:
    """Return the chunks that the ids of ``query`` come to; asks for none yet."""
    chunks = chunks_of(query.distinct_ids or (), paging)
    return IdPages(connection, settings, query, chunks, paging)


def chunks_of(ids: Sequence[str], paging: Paging) -> list[tuple[str, ...]]:
    """Return ``ids`` in chunks, none with more ids or bytes than a request should have."""
    most = paging.asked or IDS_PER_REQUEST
    chunks: list[tuple[str, ...]] = []
    chunk: list[str] = []
    size = 0
    for each in ids:
        length = len(json.dumps(each, ensure_ascii=False).encode()) + 2
        if chunk and (len(chunk) == most or size + length > LONGEST_LIST):
            chunks.append(tuple(chunk))
            chunk, size = [], 0
        chunk.append(each)
        size += length
    return [*chunks, tuple(chunk)]
