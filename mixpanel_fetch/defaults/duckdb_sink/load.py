"""One run's way into one table: pages into staging, then published whole, kept, or dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import duckdb

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink import catalog, failures
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.in_step import InStep, in_order
from mixpanel_fetch.defaults.duckdb_sink.ledger import Ledger, PageEntry, RunEntry
from mixpanel_fetch.defaults.duckdb_sink.memory import MemoryBudget
from mixpanel_fetch.defaults.duckdb_sink.names import TableName
from mixpanel_fetch.defaults.duckdb_sink.options import Index
from mixpanel_fetch.defaults.duckdb_sink.publish import Published, prepare, publish
from mixpanel_fetch.defaults.duckdb_sink.rows import Rows
from mixpanel_fetch.defaults.duckdb_sink.staging import Staging
from mixpanel_fetch.defaults.duckdb_sink.sync_ledger import SyncLedger, naive
from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.model import LoadReport, Mode, RunInfo, RunStatus
from mixpanel_fetch.sync import SyncState


class DuckDBLoad:
    """A :class:`~mixpanel_fetch.protocols.TableLoad` into a DuckDB table.

    Every method is for the run's own thread. ``index``: the option of that name. ``earlier``: what
    the ledger has of the run that goes on here; ``undo``: called once an abort has left the
    database bare.
    """

    def __init__(
        self,
        db: Database,
        budget: MemoryBudget,
        run: RunInfo,
        name: TableName,
        *,
        index: Index,
        earlier: RunEntry | None,
        created_metadata: bool,
        undo: Callable[[], None],
    ) -> None:
        self._db = db
        self._ledger = Ledger(db)
        self._budget = budget
        self._run = run
        self._name = name
        self._index = index
        self._staging = Staging(db, budget, run.run_id, name)
        self._earlier = earlier
        self._pages = {page.index: page for page in earlier.pages} if earlier else {}
        self._created_metadata = created_metadata
        self._undo = undo

    def landed_pages(self) -> frozenset[int]:
        """Return the pages that the ledger has, in staging or published."""
        return frozenset(self._pages)

    def write(self, page_index: int, batch: Batch) -> int:
        """Land one page and its ledger row in one transaction, and return its rows.

        Raises StorageError; the page has not landed then, and the load goes on unless DuckDB
        gave up the database. FetchInterruptedError after an interrupt.
        """
        return self.write_pages([(page_index, batch)])[0]

    def write_pages(self, pages: Sequence[tuple[int, Batch]]) -> list[int]:
        """Land several pages and their ledger rows in one transaction; return the rows of each.

        One commit for several pages costs less than one for each. Raises as :meth:`write`; then
        none of them has landed, or some, which ``landed_pages`` tells.
        """
        if self._run.sync is not None:
            pages = [(index, in_order(batch)) for index, batch in pages]
        landing = [Rows.of(index, batch) for index, batch in pages]
        for index, _ in pages:
            if index in self._pages:
                raise StorageError(f"page {index} has landed already")
        names = ", ".join(str(index) for index, _ in pages)
        with failures.translated(f"cannot store page{'s' * (len(pages) > 1)} {names}"):
            try:
                self._land(landing)
            except duckdb.ConversionException:
                for page in landing:
                    self._land_alone(page)
        return [len(page) for page in landing]

    def commit(self) -> LoadReport:
        """Publish in one transaction: complete if every page landed, else partial.

        Raises StorageError, or ConfigError and kin if the table changed meanwhile so that it can
        no longer take the rows. Nothing is changed then, and ``suspend`` or ``abort`` may follow.
        """
        with failures.translated(f"cannot publish table {self._name}"):
            try:
                return self._publish()
            except duckdb.OutOfMemoryException:
                self._budget.lift()
                return self._publish()

    def commit_in_step(self, *, complete: bool) -> LoadReport:
        """Bring the table in step in one transaction. Raises as :meth:`commit`."""
        with failures.translated(f"cannot publish table {self._name}"):
            try:
                return self._publish_in_step(complete)
            except duckdb.OutOfMemoryException:
                self._budget.lift()
                return self._publish_in_step(complete)

    def count_gone(self) -> tuple[int, int]:
        """Return how many rows did not come any more, and how many the table has.

        None are taken as gone where a part of the run is public already. Raises StorageError.
        """
        if self._has_published():
            return 0, 0
        with failures.translated(f"cannot compare with table {self._name}"):
            self._staging.drop_repeated()
            return self._in_step().count_gone()

    def count_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        with failures.translated(f"cannot count what came twice for {self._name}"):
            self._staging.drop_repeated()
            return self._ledger.duplicate_rows(self._run.run_id)

    def suspend(self) -> None:
        """Keep staging and ledger for a resume; the table stays as it was."""
        # A run that still says "running" resumes just as well, and after a fatal error the
        # database takes no more statements: the first error is the one to tell.
        with suppress(duckdb.Error):
            self._ledger.mark(self._run.run_id, "suspended")

    def abort(self) -> None:
        """Drop what was staged, and whatever this run alone has created. Raises StorageError."""
        with failures.translated(f"cannot take back what was staged for {self._name}"):
            with self._db.transaction():
                self._db.execute(f"DROP TABLE IF EXISTS {self._staging.sql}")
                self._ledger.forget_pages(self._run.run_id)
                self._ledger.mark(self._run.run_id, "aborted")
            if self._created_metadata and len(self._ledger.entries()) == 1:
                with self._db.transaction():
                    self._ledger.drop()
                if self._db.created and catalog.is_bare(self._db):
                    self._undo()

    def _land(self, pages: Sequence[Rows]) -> None:
        entries = [
            PageEntry(page.page, len(page), 0, page.repaired, note=page.note) for page in pages
        ]
        with self._db.transaction():
            for page in pages:
                self._staging.insert(page, self._run.batch_size)
            self._ledger.land(self._run.run_id, entries)
        self._pages |= {entry.index: entry for entry in entries}

    def _land_alone(self, page: Rows) -> None:
        """Land a page that may hold what DuckDB's JSON refuses; rare enough to land it twice."""
        try:
            self._land([page])
        except duckdb.ConversionException:
            self._land([page.mended(self._db)])

    def _publish(self) -> LoadReport:
        mode: Mode = "merge" if self._has_published() else self._run.mode
        self._budget.make_room(self._keys_to_index(mode))
        prepare(self._db, self._staging, self._name, mode, self._index)
        with self._db.transaction():
            report = self._report(publish(self._db, self._staging, self._name, mode))
            if mode in ("create", "replace"):
                SyncLedger(self._db).forget(self._name)
            else:
                SyncLedger(self._db).pass_by_history(self._name)
            self._ledger.finish(self._run.run_id, self._end(), report)
        return report

    def _publish_in_step(self, complete: bool) -> LoadReport:
        order = self._run.sync
        assert order is not None
        # A sync that brings a few rows looks for their ids: a key has them, however many there are.
        index: Index = "primary" if self._index == "auto" else self._index
        prepare(self._db, self._staging, self._name, "merge", index)
        whole = complete and not self._has_published()
        ledger = SyncLedger(self._db)
        with self._db.transaction():
            newest = self._staging.newest()
            state = ledger.find(self._name) or SyncState(order.key)
            changed = self._in_step().publish(complete=whole and order.kind == "full")
            if whole:
                state = state.after(order, newest, self._run.started_at)
            ledger.keep(self._name, state)
            report = LoadReport(
                changed.inserted + changed.updated + changed.unchanged,
                changed.inserted,
                changed.updated,
                self._ledger.duplicate_rows(self._run.run_id),
                sum(page.repaired_values for page in self._pages.values()),
                changed.unchanged,
                changed.gone,
            )
            self._ledger.finish(self._run.run_id, self._end(), report)
        return report

    def _in_step(self) -> InStep:
        order, at = self._run.sync, naive(self._run.started_at)
        assert order is not None
        assert at is not None
        return InStep(self._db, self._staging, self._name, order, at)

    def _end(self) -> RunStatus:
        whole = all(index in self._pages for index in range(self._run.total_pages))
        return "complete" if whole else "partial"

    def _has_published(self) -> bool:
        return self._earlier is not None and self._earlier.published

    def _report(self, published: Published) -> LoadReport:
        inserted, updated = published.inserted, published.updated
        duplicates = self._ledger.duplicate_rows(self._run.run_id)
        repaired = sum(page.repaired_values for page in self._pages.values())
        if self._earlier is None or not self._earlier.published:
            return LoadReport(inserted + updated, inserted, updated, duplicates, repaired)
        before = self._earlier.report
        inserted += before.inserted or 0
        if self._run.mode in ("create", "replace"):
            # The table held only this run's rows, so what was updated now are its duplicates.
            duplicates += updated
            return LoadReport(inserted, inserted, 0, duplicates, repaired)
        updated += before.updated or 0
        return LoadReport(inserted + updated, inserted, updated, duplicates, repaired)

    def _keys_to_index(self, mode: Mode) -> int:
        # The indexes of a replaced table are built again; an upsert loads those of its target.
        existing = catalog.find_table(self._db, self._name)
        if existing is None:
            return 0
        staged = self._staging.count()
        if mode == "replace":
            return staged * len(catalog.belongings(self._db, existing).indexes)
        if not catalog.has_index(self._db, existing):
            return 0
        return staged + int(self._db.value(f"SELECT count(*) FROM {self._db.sql(existing)}"))
