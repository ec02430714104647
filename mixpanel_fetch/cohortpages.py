"""The pages of a fetch of cohorts: their list in one page, or the members of each in one.

The members of a cohort are a query of their own, which counts against the hour and shares no
session with the others; so a page may be asked for at any time, in parallel and in a resume, too.
A cohort is landed whole, and is in memory whole until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.cohorts import Cohort
from mixpanel_fetch.decode import DecodedPage, Envelope, Rows
from mixpanel_fetch.errors import (
    QueryError,
    RateLimitError,
    ServerError,
    SessionExpiredError,
)
from mixpanel_fetch.inflight import InflightBytes
from mixpanel_fetch.joined import fetch_joined
from mixpanel_fetch.model import Page, ProfileQuery, Rejection
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.session import EngageSession
from mixpanel_fetch.source import EngagePages, OpenedPages
from mixpanel_fetch.transport import pause

_NO_ENVELOPE = Envelope(None, None, None, None)


@dataclass(frozen=True)
class CohortSession(EngageSession):
    """What is known of a fetch of members: how many cohorts there are, and not how many members."""

    cohorts: int = 1

    @property
    def total_pages(self) -> int:
        """One page a cohort, and one where there is no cohort."""
        return max(1, self.cohorts)

    def rows_due(self, index: int) -> int:  # noqa: ARG002
        """Return 0: a cohort may be empty."""
        return 0


class MemberPages(EngagePages):
    """A :class:`~mixpanel_fetch.protocols.PageSource` with the members of one cohort a page.

    A row stands for one member of one cohort: its id is ``COHORT:DISTINCT_ID``, its properties are
    ``cohort_id`` (a number) and ``distinct_id``. Members that have no profile come, too. Once the
    hour's queries are used up, no other cohort is asked for.
    """

    def __init__(
        self,
        connection: EngageConnection,
        settings: ClientSettings,
        query: ProfileQuery,
        paging: Paging,
    ) -> None:
        self._cohorts = query.cohort_ids or ()
        self._paging = paging
        self._used_up: RateLimitError | None = None
        size = paging.asked
        session = CohortSession(None, None, size or 1000, size, cohorts=len(self._cohorts))
        inflight = InflightBytes(paging.max_inflight_bytes, sleep=pause)
        super().__init__(connection, settings, query, session, inflight=inflight)

    def portable(self) -> PortableMembers:
        """Return a picklable twin, for another process; it carries the credentials."""
        return PortableMembers(self._settings, self.query, self._paging)

    def _fetch_once(self, index: int) -> tuple[DecodedPage, int, int]:
        if not self._cohorts:
            return DecodedPage(index, _NO_ENVELOPE, 0, 0, _CohortRows(())), 0, 1
        if self._used_up is not None:
            raise RateLimitError(
                str(self._used_up), retry_after=self._used_up.retry_after, limit="hourly"
            )
        cohort = self._cohorts[index]
        query = ProfileQuery(
            cohort_id=cohort, include_all_users=True, output_properties=("$distinct_id",)
        )
        try:
            page, size, attempts = self._whole(query, index)
        except QueryError as error:
            raise QueryError(f"cohort {cohort}: {error}") from None
        except RateLimitError as error:
            self._used_up = error if error.limit == "hourly" else None
            raise
        return replace(page, rows=_Pairs(int(cohort), page.rows)), size, attempts

    def _whole(self, query: ProfileQuery, index: int) -> tuple[DecodedPage, int, int]:
        """Ask for a whole cohort, twice where its session expires: the others have their own."""
        asked = self.session.asked_page_size
        try:
            return fetch_joined(self._connection, query, index, asked)
        except SessionExpiredError as error:
            spent = error.attempts
        try:
            page, size, attempts = fetch_joined(self._connection, query, index, asked)
        except SessionExpiredError as error:
            raise ServerError(f"cohort {query.cohort_id}: {error}, twice") from None
        return page, size, spent + attempts


@dataclass(frozen=True)
class PortableMembers:
    """A :class:`~mixpanel_fetch.protocols.PageFetcher`: open it in the process that fetches."""

    settings: ClientSettings
    query: ProfileQuery
    paging: Paging

    def open(self, gate: Gate) -> OpenedMembers:
        """Return the source. Close it in the thread that opened it."""
        return OpenedMembers(self, gate)


class OpenedMembers(MemberPages):
    """Pages in a process of their own: they hold a transport, and :meth:`close` lets go of it."""

    def __init__(self, portable: PortableMembers, gate: Gate) -> None:
        self._transport = portable.settings.transport()
        connection = EngageConnection(portable.settings, gate, self._transport)
        super().__init__(connection, portable.settings, portable.query, portable.paging)

    close = OpenedPages.close


class CohortList(EngagePages):
    """A :class:`~mixpanel_fetch.protocols.PageSource` of one page: the saved cohorts."""

    def _fetch_once(self, index: int) -> tuple[DecodedPage, int, int]:
        cohorts, size, attempts = self._connection.fetch_cohorts()
        return (
            DecodedPage(index, _NO_ENVELOPE, len(cohorts), 0, _CohortRows(cohorts)),
            size,
            attempts,
        )


def open_members(
    connection: EngageConnection, settings: ClientSettings, query: ProfileQuery, paging: Paging
) -> tuple[MemberPages, Page]:
    """Ask for the members of the first cohort; return the pages and the first one.

    Where ``query`` names no cohort, asks which there are. Raises what the first page raises.
    """
    if query.cohort_ids is None:
        cohorts, _, _ = connection.fetch_cohorts()
        query = replace(query, cohort_ids=tuple(str(one.id) for one in cohorts) or None)
    pages = MemberPages(connection, settings, query, paging)
    left = connection.queries_left()
    if left is not None and left < pages.total_pages:
        pages.warnings = (
            f"{pages.total_pages:,} cohorts are as many queries, and the project's hour has"
            f" {left:,} left, as far as this machine knows; what is missing then comes with a"
            " resume",
        )
    return pages, pages.fetch(0)


def open_list(
    connection: EngageConnection, settings: ClientSettings, query: ProfileQuery
) -> tuple[CohortList, Page]:
    """Ask for the list; return it as pages, and as the first one. Raises what that raises."""
    pages = CohortList(connection, settings, query, EngageSession(None, None, 1))
    page = pages.fetch(0)
    pages.session = EngageSession(None, page.rows_received, max(1, page.rows_received))
    return pages, page


@dataclass(frozen=True)
class _CohortRows:
    """A list of cohorts, as rows."""

    cohorts: Sequence[Cohort]

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:  # noqa: ARG002
        return Batch.from_rows(one.row() for one in self.cohorts), []


@dataclass(frozen=True)
class _Pairs:
    """The members of one cohort, as rows of their own."""

    cohort: int
    members: Rows

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:
        batch, rejected = self.members.read(index)
        pairs = Batch.from_rows(
            {
                "distinct_id": f"{self.cohort}:{member}",
                "properties": {"cohort_id": self.cohort, "distinct_id": member},
            }
            for member in batch.distinct_ids
        )
        return pairs, rejected
