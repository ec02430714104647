"""One run's way into one table: pages into staging, then published whole, kept, or dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import errors

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import FetchInterruptedError, StorageError
from mixpanel_fetch.model import LoadReport, Mode, RunInfo, RunStatus
from mixpanel_fetch.sync import SyncOrder, SyncState
from mixpanel_fetch_postgres import catalog, failures
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.in_step import InStep
from mixpanel_fetch_postgres.ledger import Ledger, PageEntry, RunEntry
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.publish import Published, publish
from mixpanel_fetch_postgres.rows import Rows
from mixpanel_fetch_postgres.staging import Staging
from mixpanel_fetch_postgres.sync_ledger import SyncLedger

# "COPY table, line 2, column properties", in the language of the server.
_LINE = re.compile(r"^COPY [^,]*, \S+ (\d+)", re.MULTILINE)


class PostgresLoad:
    """A :class:`~mixpanel_fetch.protocols.TableLoad` into a PostgreSQL table.

    Every method is for the run's own thread. ``earlier``: what the ledger has of the run that
    goes on here.
    """

    def __init__(
        self,
        db: Database,
        run: RunInfo,
        name: TableName,
        *,
        earlier: RunEntry | None,
        created_metadata: bool,
    ) -> None:
        self._db = db
        self._ledger = Ledger(db)
        self._run = run
        self._name = name
        self._staging = Staging(db, run.run_id, name)
        self._earlier = earlier
        self._pages = {page.index: page for page in earlier.pages} if earlier else {}
        self._created_metadata = created_metadata

    def landed_pages(self) -> frozenset[int]:
        """Return the pages that the ledger has, in staging or published."""
        return frozenset(self._pages)

    def write(self, page_index: int, batch: Batch) -> int:
        """Land one page and its ledger row in one transaction, and return its rows.

        Raises StorageError; the page has not landed then, and the load goes on unless the
        connection was lost. FetchInterruptedError after an interrupt.
        """
        return self.write_pages([(page_index, batch)])[0]

    def write_pages(self, pages: Sequence[tuple[int, Batch]]) -> list[int]:
        """Land several pages and their ledger rows in one transaction; return the rows of each.

        One commit for several pages costs less than one for each. Raises as :meth:`write`; then
        none of them has landed, or some, which ``landed_pages`` tells.
        """
        self._db.resumes()
        landing = [Rows.of(index, batch) for index, batch in pages]
        for index, _ in pages:
            if index in self._pages:
                raise StorageError(f"page {index} has landed already")
        names = ", ".join(str(index) for index, _ in pages)
        with failures.translated(f"cannot store page{'s' * (len(pages) > 1)} {names}"):
            try:
                self._land(landing)
            except psycopg.Error as error:
                if not failures.is_about_values(error):
                    raise
                for page in landing:
                    self._land_mended(page)
        return [page.received for page in landing]

    def commit(self) -> LoadReport:
        """Publish in one transaction: complete if every page landed, else partial.

        Raises StorageError, or ConfigError and kin if the table changed meanwhile so that it can
        no longer take the rows. Nothing is changed then, and ``suspend`` or ``abort`` may follow.
        """
        with self._publishing():
            return self._publish()

    def commit_in_step(self, *, complete: bool) -> LoadReport:
        """Bring the table in step in one transaction. Raises as :meth:`commit`."""
        with self._publishing():
            return self._bring_in_step(complete=complete)

    def count_gone(self) -> tuple[int, int]:
        """Return how many rows did not come any more, and how many the table has.

        None are taken as gone where a part of the run is public already. Raises StorageError.
        """
        if self._has_published():
            return 0, 0
        self._db.resumes()
        with failures.translated(f"cannot compare with table {self._name}"), self._unique():
            return self._in_step(self._order()).count_gone(self._staging)

    def count_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        self._db.resumes()
        with failures.translated(f"cannot count what came twice for {self._name}"):
            with self._unique():
                self._staging.drop_repeated()
            return self._ledger.duplicate_rows(self._run.run_id)

    def suspend(self) -> None:
        """Keep staging and ledger for a resume; the table stays as it was."""
        self._db.resumes()
        # A run that still says "running" resumes just as well, and on a lost connection nothing
        # can be said any more: the first error is the one to tell.
        with suppress(psycopg.Error, FetchInterruptedError):
            self._ledger.mark(self._run.run_id, "suspended")

    def abort(self) -> None:
        """Drop what was staged, and whatever this run alone has created. Raises StorageError."""
        self._db.resumes()
        with (
            failures.translated(f"cannot take back what was staged for {self._name}"),
            self._db.transaction(),
        ):
            self._ledger.alone()
            self._staging.drop()
            self._ledger.forget_pages(self._run.run_id)
            self._ledger.mark(self._run.run_id, "aborted")
            if self._created_metadata and len(self._ledger.entries()) == 1:
                self._drop_ledger()

    def _drop_ledger(self) -> None:
        # Where somebody has put something of their own beside it, it stays.
        with suppress(errors.DependentObjectsStillExist), self._db.savepoint():
            self._ledger.drop()

    def _land(self, pages: Sequence[Rows]) -> None:
        entries = [
            PageEntry(page.page, page.received, page.duplicates, page.repaired, note=page.note)
            for page in pages
        ]
        with self._db.transaction():
            self._staging.land(pages)
            self._ledger.land(self._run.run_id, entries)
        self._pages |= {entry.index: entry for entry in entries}

    def _land_mended(self, page: Rows) -> None:
        """Land a page that may hold what the server refuses; what it would not take is replaced.

        Raises StorageError naming the row whose properties are no JSON at all.
        """
        try:
            self._land([page])
        except psycopg.Error as error:
            if not failures.is_about_values(error):
                raise
            page = page.mended(flat=isinstance(error, errors.StatementTooComplex))
        else:
            return
        try:
            self._land([page])
        except errors.StatementTooComplex:
            raise
        except psycopg.DataError as error:
            raise page.refused(_position(error), _reason(error)) from None

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        self._db.resumes()
        with failures.translated(f"cannot publish table {self._name}"), self._unique():
            yield

    @contextmanager
    def _unique(self) -> Iterator[None]:
        """A transaction in which staging may lose what repeats."""
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._staging.forget()
            raise

    def _publish(self) -> LoadReport:
        mode: Mode = "merge" if self._has_published() else self._run.mode
        if mode == "replace" or catalog.find_oid(self._db, self._name) is None:
            SyncLedger(self._db).forget(self._name)
        report = self._report(publish(self._db, self._staging, self._name, mode))
        self._ledger.finish(self._run.run_id, self._end(), report)
        return report

    def _bring_in_step(self, *, complete: bool) -> LoadReport:
        order, ledger = self._order(), SyncLedger(self._db)
        whole = complete and not self._has_published()
        state = ledger.find(self._name) or SyncState(order.key)
        if whole:
            state = state.after(order, self._staging.newest(), self._run.started_at)
        changed = self._in_step(order).publish(
            self._staging, complete=whole and order.kind == "full"
        )
        ledger.keep(self._name, state)
        report = LoadReport(
            changed.inserted + changed.updated + changed.unchanged,
            changed.inserted,
            changed.updated,
            self._ledger.duplicate_rows(self._run.run_id),
            self._repaired_values(),
            changed.unchanged,
            changed.gone,
        )
        self._ledger.finish(self._run.run_id, self._end(), report)
        return report

    def _order(self) -> SyncOrder:
        order = self._run.sync
        assert order is not None
        return order

    def _in_step(self, order: SyncOrder) -> InStep:
        return InStep(self._db, self._name, order, self._run.started_at)

    def _end(self) -> RunStatus:
        whole = all(index in self._pages for index in range(self._run.total_pages))
        return "complete" if whole else "partial"

    def _repaired_values(self) -> int:
        return sum(page.repaired_values for page in self._pages.values())

    def _has_published(self) -> bool:
        return self._earlier is not None and self._earlier.published

    def _report(self, published: Published) -> LoadReport:
        inserted, updated = published.inserted, published.updated
        duplicates = self._ledger.duplicate_rows(self._run.run_id)
        repaired = self._repaired_values()
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


def _position(error: psycopg.Error) -> int | None:
    found = _LINE.search(error.diag.context or "")
    return int(found[1]) - 1 if found else None


def _reason(error: psycopg.Error) -> str:
    if isinstance(error, errors.InvalidTextRepresentation):
        return "its properties are not JSON"
    if isinstance(error, (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter)):
        return "its properties are not JSON in UTF-8 bytes"
    return f"PostgreSQL refuses it: {error.diag.message_primary}"
