"""The pages of one Engage session: what a strategy is given to fetch from."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace

from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.decode import DecodedPage
from mixpanel_fetch.errors import (
    MixpanelFetchError,
    QueryError,
    ServerError,
    SessionExpiredError,
)
from mixpanel_fetch.inflight import InflightBytes
from mixpanel_fetch.model import Page, PageFailure, ProfileQuery, RunInfo, UnreadPage
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.probing import count_rows
from mixpanel_fetch.protocols import Gate, PageFetcher
from mixpanel_fetch.session import EngageSession as EngageSession
from mixpanel_fetch.transport import Transport, pause

log = logging.getLogger("mixpanel_fetch")


class EngagePages:
    """A :class:`~mixpanel_fetch.protocols.PageSource` over one connection and one session."""

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        session: EngageSession,
        *,
        inflight: InflightBytes | None = None,
        may_miss: int = 0,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self.query = query
        self._inflight = inflight
        self._may_miss = may_miss
        self.session = session
        self.warnings: tuple[str, ...] = ()
        self.total_pages = session.total_pages

    def fetch(self, index: int) -> Page:
        """Return page ``index``; raises MixpanelFetchError after the client's own retries.

        Waits while the pages under way are too many bytes. A page that stays under the rows due
        is asked for once more, and the fuller answer counts. One that brings none is refused,
        unless so many rows may be missing.
        """
        if self._inflight is None:
            return self._fetch(index)
        self._inflight.reserve(index)
        try:
            page = self._fetch(index)
        except BaseException:
            self._inflight.release(index)
            raise
        self._inflight.arrived(index, page.bytes_received)
        return page

    def _fetch(self, index: int) -> Page:
        return self.completed(*self._fetch_once(index))

    def completed(self, page: DecodedPage, size: int, attempts: int) -> Page:
        """Return a page that came, or a fuller answer where it stays under the rows due."""
        due = self.session.rows_due(page.index)
        if page.rows_received < due and self.session.session_id:
            page, size, attempts = self._fuller(page, size, attempts)
        return UnreadPage(
            page.read,
            index=page.index,
            rows_received=page.rows_received,
            bytes_received=size,
            attempts=attempts,
            repaired_values=page.repaired_values,
            rows_missing=max(0, due - page.rows_received),
        )

    def opened(self, page: DecodedPage, size: int, attempts: int) -> Page:
        """Return page 0. Without a total, its being short is all that tells of the end: it is
        asked for once more then, too.
        """
        session = self.session
        if page.envelope.total is None and page.rows_received < session.page_size:
            if session.session_id:
                page, size, attempts = self._fuller(page, size, attempts)
            self.session = replace(session, total=page.rows_received)
        return self.completed(page, size, attempts)

    def _fuller(self, page: DecodedPage, size: int, attempts: int) -> tuple[DecodedPage, int, int]:
        """Ask for a page once more; return the answer with more rows, and all attempts."""
        again, size_again, more_attempts = self._fetch_once(page.index)
        if again.rows_received > page.rows_received:
            page, size = again, size_again
        return page, size, attempts + more_attempts

    def attempt(self, index: int) -> Page | PageFailure:
        """Return page ``index``, or its failure as a value."""
        try:
            return self.fetch(index)
        except MixpanelFetchError as error:
            return PageFailure(index, "fetch", error, error.attempts)

    def remarks(self) -> tuple[str, ...]:
        """Return what is worth a warning once all pages have been asked for."""
        return ()

    def landed(self, index: int) -> None:
        """Let go of the bytes of page ``index``: it has landed, or it never will."""
        if self._inflight is not None:
            self._inflight.release(index)

    def look_for_more(self) -> None:
        """Find out how many pages there are where page 0, a full one, tells of no other."""
        total = count_rows(self._rows_of, self.session.page_size)
        if total <= self.session.page_size:
            return
        self.session = replace(self.session, total=total)
        self.total_pages = self.session.total_pages
        self.warnings = (
            f"the first page is full and tells of no other, and yet there are: {total:,} profiles",
        )

    def _rows_of(self, index: int) -> int:
        """Return how many rows a page has, asking twice where it is not full; refused: none."""
        try:
            first = self._fetch_once(index)[0].rows_received
            if first >= self.session.page_size:
                return first
            return max(first, self._fetch_once(index)[0].rows_received)
        except SessionExpiredError:
            raise
        except QueryError:
            return 0

    def portable(self) -> PageFetcher:
        """Return a picklable twin, for another process; it carries the credentials."""
        return PortablePages(self._settings, self.query, self.session, self._may_miss)

    def _fetch_once(self, index: int) -> tuple[DecodedPage, int, int]:
        return self._connection.fetch_page(
            self.query,
            index,
            session_id=self.session.session_id,
            page_size=self.session.asked_page_size,
            check=lambda page: _check_page(
                page, index, self.session.rows_due(index), self._may_miss
            ),
        )


class OpenedPages(EngagePages):
    """Pages in a process of their own: they hold a transport, and :meth:`close` lets go of it."""

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        session: EngageSession,
        transport: Transport,
        *,
        may_miss: int = 0,
    ) -> None:
        super().__init__(connection, settings, query, session, may_miss=may_miss)
        self._transport = transport

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


@dataclass(frozen=True)
class PortablePages:
    """A :class:`~mixpanel_fetch.protocols.PageFetcher`: open it in the process that fetches."""

    settings: ClientSettings
    query: ProfileQuery
    session: EngageSession
    may_miss: int = 0

    def open(self, gate: Gate) -> OpenedPages:
        """Return the source. Close it in the thread that opened it."""
        settings, may_miss = self.settings, self.may_miss
        transport = settings.transport()
        connection = EngageConnection(settings, gate, transport)
        return OpenedPages(
            connection, settings, self.query, self.session, transport, may_miss=may_miss
        )


def open_session(
    connection: EngageConnection,
    settings: ClientSettings,
    query: ProfileQuery,
    paging: Paging | None = None,
    *,
    workers: int = 1,
    may_miss: int = 0,
) -> tuple[EngagePages, Page]:
    """Ask for page 0, which opens the session; return the session's pages and page 0 itself.

    Asks twice where ``paging`` finds a better page size for ``workers`` pages at once. Where page
    0 is full and does not say that there are more, looks for them. ``may_miss``: how many rows
    may stay out without a page being refused. Raises MixpanelFetchError when page 0 cannot be
    had, ServerError when it does not say what a fetch needs to know.
    """
    paging = paging or Paging()
    session, first = _first_page(connection, query, paging.asked)
    better = paging.better_size(
        total=session.total or 0,
        page_size=session.page_size,
        rows=first[0].rows_received,
        size=first[1],
        workers=workers,
    )
    if better is not None:
        log.info("starting over with pages of %d profiles, not %d", better, session.page_size)
        try:
            session, first = _first_page(connection, query, better)
        except QueryError as error:  # what it costs was known; what is there is good enough
            log.info("staying with pages of %d profiles: %s", session.page_size, error)
    inflight = InflightBytes(paging.max_inflight_bytes, sleep=pause)
    pages = EngagePages(connection, settings, query, session, inflight=inflight, may_miss=may_miss)
    page = pages.opened(*first)
    announced = session.total or 0
    if page.rows_received >= session.page_size >= announced and session.session_id:
        pages.look_for_more()
    inflight.arrived(0, page.bytes_received)
    return pages, page


def reopened_session(
    connection: EngageConnection,
    settings: ClientSettings,
    run: RunInfo,
    paging: Paging,
    may_miss: int = 0,
) -> EngagePages:
    """Return the pages of the session that ``run`` was about, asked for as it did."""
    session = EngageSession(run.session_id, run.total or 0, run.page_size, run.asked_page_size)
    inflight = InflightBytes(paging.max_inflight_bytes, sleep=pause)
    return EngagePages(
        connection, settings, run.query, session, inflight=inflight, may_miss=may_miss
    )


def _first_page(
    connection: EngageConnection, query: ProfileQuery, page_size: int | None
) -> tuple[EngageSession, tuple[DecodedPage, int, int]]:
    decoded, size, attempts = connection.fetch_page(
        query, 0, page_size=page_size, check=_check_first_page
    )
    envelope = decoded.envelope
    total = max(envelope.total or 0, decoded.rows_received)
    session = EngageSession(envelope.session_id, total, envelope.page_size or 1, page_size)
    return session, (decoded, size, attempts)


def _check_first_page(page: DecodedPage) -> None:
    envelope = page.envelope
    if envelope.page_size is None:
        raise ServerError("Mixpanel's first page does not say its page_size")
    # Without a total, a full page may have others after it.
    total = page.rows_received + 1 if envelope.total is None else envelope.total
    if total > envelope.page_size and envelope.session_id is None:
        raise ServerError("Mixpanel's first page carries no session_id for the pages after it")
    _check_page(page, 0, min(envelope.total or 0, envelope.page_size))


def _check_page(page: DecodedPage, index: int, due: int, may_miss: int = 0) -> None:
    if page.envelope.page not in {None, index}:
        raise ServerError(f"Mixpanel answered with page {page.envelope.page} instead of {index}")
    if page.rows_received > (page.envelope.page_size or sys.maxsize):
        raise ServerError(f"page {index} has more rows than its own page_size")
    if page.rows_received == 0 and due > may_miss:
        raise ServerError(f"page {index} came empty where {due:,} rows are due")
