"""The pages of one Engage session: what a strategy is given to fetch from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.decode import DecodedPage
from mixpanel_fetch.errors import MixpanelFetchError, ServerError
from mixpanel_fetch.model import Page, PageFailure, ProfileQuery
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.transport import Transport


@dataclass(frozen=True)
class EngageSession:
    """What page 0 said: how many profiles match, and how the server cuts them into pages.

    ``asked_page_size`` is what is asked for (None: the server's own), ``page_size`` what the
    server answered with.
    """

    session_id: str | None
    total: int
    page_size: int
    asked_page_size: int | None = None

    @property
    def total_pages(self) -> int:
        """How many pages there are; the first is always there, an empty one too."""
        return max(1, -(-self.total // self.page_size))

    def rows_due(self, index: int) -> int:
        """How many rows page ``index`` should bring."""
        return max(0, min(self.page_size, self.total - index * self.page_size))


class EngagePages:
    """A :class:`~mixpanel_fetch.protocols.PageSource` over one connection and one session."""

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        session: EngageSession,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._query = query
        self.session = session
        self.total_pages = session.total_pages

    def fetch(self, index: int) -> Page:
        """Return page ``index``; raises MixpanelFetchError after the client's own retries.

        A page that stays under the rows due is asked for once more, and the fuller answer counts.
        """
        page = self._fetch_once(index)
        due = self.session.rows_due(index)
        if page.rows_received >= due:
            return page
        again = self._fetch_once(index)
        fuller = max(page, again, key=lambda candidate: candidate.rows_received)
        return _settled(fuller, page.attempts + again.attempts, fuller.rows_received < due)

    def attempt(self, index: int) -> Page | PageFailure:
        """Return page ``index``, or its failure as a value."""
        try:
            return self.fetch(index)
        except MixpanelFetchError as error:
            return PageFailure(index, "fetch", error, error.attempts)

    def portable(self) -> PortablePages:
        """Return a picklable twin, for another process; it carries the credentials."""
        return PortablePages(self._settings, self._query, self.session)

    def _fetch_once(self, index: int) -> Page:
        decoded, size, attempts = self._connection.fetch_page(
            self._query,
            index,
            session_id=self.session.session_id,
            page_size=self.session.asked_page_size,
            check=lambda page: _check_page(page, index, self.session.rows_due(index)),
        )
        return _page(decoded, index, size, attempts)


class OpenedPages(EngagePages):
    """Pages in a process of their own: they hold a transport, and :meth:`close` lets go of it."""

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        session: EngageSession,
        transport: Transport,
    ) -> None:
        super().__init__(connection, settings, query, session)
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

    def open(self, gate: Gate) -> OpenedPages:
        """Return the source. Close it in the thread that opened it."""
        transport = self.settings.transport()
        connection = EngageConnection(self.settings, gate, transport)
        return OpenedPages(connection, self.settings, self.query, self.session, transport)


def open_session(
    connection: EngageConnection,
    settings: ClientSettings,
    query: ProfileQuery,
    page_size: int | None,
) -> tuple[EngagePages, Page]:
    """Ask for page 0, which opens the session; return the session's pages and page 0 itself.

    Raises MixpanelFetchError when page 0 cannot be had, ServerError when it does not say what a
    fetch needs to know.
    """
    decoded, size, attempts = connection.fetch_page(
        query, 0, page_size=page_size, check=_check_first_page
    )
    envelope = decoded.envelope
    session = EngageSession(
        envelope.session_id, envelope.total or 0, envelope.page_size or 1, page_size
    )
    source = EngagePages(connection, settings, query, session)
    page = _page(decoded, 0, size, attempts)
    short = page.rows_received < session.rows_due(0)
    return source, _settled(page, attempts, short)


def _check_first_page(page: DecodedPage) -> None:
    envelope = page.envelope
    if envelope.total is None:
        raise ServerError("Mixpanel's first page does not say how many profiles there are")
    if envelope.page_size is None:
        raise ServerError("Mixpanel's first page does not say its page_size")
    if envelope.total > envelope.page_size and envelope.session_id is None:
        raise ServerError("Mixpanel's first page carries no session_id for the pages after it")
    _check_page(page, 0, min(envelope.total, envelope.page_size))


def _check_page(page: DecodedPage, index: int, due: int) -> None:
    if page.envelope.page not in {None, index}:
        raise ServerError(f"Mixpanel answered with page {page.envelope.page} instead of {index}")
    if page.rows_received == 0 and due > 0:
        raise ServerError(f"page {index} came empty where {due:,} rows are due")


def _page(decoded: DecodedPage, index: int, size: int, attempts: int) -> Page:
    return Page(
        index=index,
        batch=decoded.batch,
        rows_received=decoded.rows_received,
        bytes_received=size,
        attempts=attempts,
        rejected=decoded.rejected,
        repaired_values=decoded.repaired_values,
    )


def _settled(page: Page, attempts: int, short: bool) -> Page:
    return replace(page, attempts=attempts, short=short)
