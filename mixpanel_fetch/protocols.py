"""What the core asks of a strategy, a transform and a sink, and what it gives them.

Nothing here has to be inherited: an object with these methods will do.
:class:`~mixpanel_fetch.hookspecs.BaseLoad` and ``BaseEngine`` supply what most sinks share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.model import LoadReport, Mode, Page, PageFailure, RunInfo, RunRecord
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch.sync import SyncState


class Gate(Protocol):
    """Who may have a request in flight. One slot a request, given back by :meth:`release`.

    Optional: ``confirm()``, called right before each request is sent: a gate whose slots are lent
    for a time takes another one there, where too much of that time has passed.
    """

    def acquire(self) -> None:
        """Wait for a slot and take it. Works in greenlets and threads."""

    def release(self) -> None:
        """Give the slot back."""

    def narrow(self) -> None:
        """Let fewer through for a while: the server says that too many run at once."""


class PageSource(Protocol):
    """The pages of one session, as a strategy sees them.

    ``fetch`` and ``attempt`` may be called from greenlets and from any thread, several at once.
    """

    total_pages: int

    def fetch(self, index: int) -> Page:
        """Return page ``index``. Raises MixpanelFetchError after its own retries."""

    def attempt(self, index: int) -> Page | PageFailure:
        """Return page ``index``, or its failure as a value. Never raises a MixpanelFetchError."""

    def portable(self) -> PageFetcher:
        """Return a picklable twin, for another process."""


class PageFetcher(Protocol):
    """A picklable description of a :class:`PageSource`; it carries the credentials."""

    def open(self, gate: Gate) -> PageSource:
        """Return a source that takes its slots from ``gate``."""


class FetchStrategy(Protocol):
    """Decides which pages are asked for when, and how many at once.

    Optional: ``size: int``, the most pages that it asks for at once (else: the workers it was
    told). As many pages more may wait for the sink. ``gate(settings: ClientSettings, gate: Gate)
    -> Gate`` returns what the requests of the run itself take their slots from, in place of
    ``gate``: for a strategy that counts requests beyond this process. Its first slot is taken
    before the first request is made.
    """

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        """Yield the outcome of each index in ``pages`` exactly once, in any order.

        Hold no more than a few pages: the consumer may be slower than the network. Closing the
        iterator early must stop what is under way.
        """


Transform = Callable[[Batch], Batch | None]
"""Called with one page's batch, pages in any order, always in the run's own thread.

Returns a new batch, or None to keep nothing of the page. Must not change its input. What it
raises fails that page and is not tried again. Working on the batch's columns costs next to nothing;
``Batch.rows`` and ``Batch.from_rows`` read and write each row's JSON, a few microseconds a row.

Optional: an attribute ``identity: str``, what tells it apart beyond its argument and options (the
digest of a key, never a secret): a run is not resumed with another one.
"""


class TableLoad(Protocol):
    """One run's way into one table. All calls of a run come from one thread.

    Optional: ``write_pages(pages: Sequence[tuple[int, Batch]]) -> list[int]`` lands several pages
    at once and returns the rows of each. It is called in place of ``write``, with all the pages
    that wait, so that a sink which falls behind may land them in one transaction.
    ``count_duplicates() -> int``, asked before ``commit`` in a strict run, and in one that keeps a
    table in step, says how many of the rows landed share their id with another one.
    """

    def landed_pages(self) -> frozenset[int]:
        """Return the pages already held, of the run that this one resumes; else an empty set."""

    def write(self, page_index: int, batch: Batch) -> int:
        """Land one page, whole or not at all, and return the rows landed. Pages come in any order.

        An empty batch is written too, so that its page counts as landed. Raises ReaderGoneError
        when rows stream to somebody who wants no more: the run then ends in silence.
        """

    def commit(self) -> LoadReport | None:
        """Make the table visible, whole."""

    def suspend(self) -> None:
        """Optional: keep what landed for a resume, the table as before ``begin``. Else: abort."""

    def abort(self) -> None:
        """Leave the table as before ``begin``, and keep nothing."""


class StorageEngine(Protocol):
    """Where tables live: what a sink plugin's factory returns.

    Open connections in ``check`` or ``begin`` and let go of them in ``close``: the factory runs
    in another thread, and the next run brings another one.

    Optional: ``capabilities: frozenset[str]`` (else those of the SinkSpec count), ``check(table,
    mode)`` (raises before any request is spent), ``count(table) -> int | None`` (rows of a table,
    None where there is none: asked before an empty answer replaces one), ``interrupt()`` (called
    from another thread: make a running call end soon).
    """

    def begin(self, table: str, mode: Mode, run: RunInfo) -> TableLoad:
        """Prepare to load ``table``. Raises TableExistsError, TableNotFoundError."""

    def close(self) -> None:
        """Let go of every resource. Called once at the end of each run; may be called twice."""


@runtime_checkable
class ResumableEngine(Protocol):
    """What the capability ``resume`` promises beyond :class:`StorageEngine`.

    A page is durable when ``write`` returns, its batch's ``note`` with it, and ``begin`` with the
    ``run_id`` of an interrupted run opens its staging again.
    """

    def begin(self, table: str, mode: Mode, run: RunInfo) -> TableLoad:
        """As in :class:`StorageEngine`."""

    def close(self) -> None:
        """As in :class:`StorageEngine`."""

    def interrupted(self, table: str) -> RunInfo | None:
        """Return the run of ``table`` that can be resumed, or None."""

    def runs(self) -> Sequence[RunRecord]:
        """Return every run that the destination remembers, the newest first."""

    def discard(self, run_id: str) -> None:
        """Drop an interrupted run and its staging. Raises ConfigError for an unknown one."""


class Answer(Protocol):
    """The rows that a query found, in order; to be read once, before the engine is closed.

    Optional: ``__arrow_c_stream__`` (the Arrow PyCapsule interface), which may be read in place of
    the rows.
    """

    columns: Sequence[str]
    types: Sequence[str]
    """The type of each column, in the store's words."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield one tuple a row. Raises StorageError, ConfigError."""


@runtime_checkable
class QueryableEngine(Protocol):
    """What the capability ``query`` promises beyond :class:`StorageEngine`: reading.

    Nothing here creates or changes anything. Each call opens what it needs, and ``close`` lets go
    of it. Raises TableNotFoundError for a missing table, ConfigError for a destination that is
    not there or a query that cannot be asked, StorageError where reading fails.
    """

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables, by name; those of our own bookkeeping left out."""

    def query(self, sql: str) -> Answer:
        """Ask ``sql``, one statement in the store's own language that only reads."""

    def inspect(self, table: str, *, top: int = 5) -> TableSummary:
        """Return what is in ``table``, with the ``top`` most frequent values of each property."""

    def close(self) -> None:
        """As in :class:`StorageEngine`."""


@runtime_checkable
class SyncEngine(Protocol):
    """What the capability ``sync`` promises beyond :class:`ResumableEngine`: tables kept in step.

    A run that has a :attr:`~mixpanel_fetch.model.RunInfo.sync` is one of mode ``merge``, and its
    load is a :class:`SyncLoad`.

    Optional: ``check_in_step(table, order)`` raises ConfigError, before any request is spent, for a
    table that cannot be kept in step as the :class:`~mixpanel_fetch.sync.SyncOrder` says.
    """

    def sync_state(self, table: str) -> SyncState | None:
        """Return what is remembered of ``table``, None where it was never kept in step.

        Creates nothing. A missing table has no state, nor has one that ``replace`` made anew.
        """


class SyncLoad(TableLoad, Protocol):
    """The load of a run that keeps a table in step."""

    def count_gone(self) -> tuple[int, int]:
        """Return how many rows did not come any more, and how many the table has.

        Rows marked as deleted do not count. Asked before publishing a complete fetch.
        """

    def commit_in_step(self, *, complete: bool) -> LoadReport:
        """Publish, and remember the new state, in one transaction.

        ``complete``: all that was asked for came. Only then is a row gone that did not come in a
        full fetch, and only then does the cursor move.
        """


@runtime_checkable
class ColumnsEngine(Protocol):
    """What the capability ``columns`` promises: properties shown as typed columns, in a view.

    Raises TableNotFoundError for a missing table, ConfigError for a name that cannot be.
    """

    def property_kinds(
        self, table: str, null_texts: Sequence[str] = ()
    ) -> Mapping[str, Mapping[Kind, int]]:
        """Return how many values of each kind each property has; ``null_texts`` count as null."""

    def show_columns(
        self, table: str, view: str, columns: Sequence[Column], null_texts: Sequence[str] = ()
    ) -> None:
        """Make ``view``, or change it: the table's own columns, and these for its properties.

        A value that its column's type does not hold is NULL there; the table keeps it.
        """

    def close(self) -> None:
        """As in :class:`StorageEngine`."""
