"""The engine: where tables are, which runs were interrupted, and how a load begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch.sync import SyncOrder, SyncState
from mixpanel_fetch_postgres import (
    CAPABILITIES,
    catalog,
    failures,
    in_step,
    listing,
    resume,
    typed_view,
)
from mixpanel_fetch_postgres.asking import PostgresAnswer
from mixpanel_fetch_postgres.database import Database, connected
from mixpanel_fetch_postgres.ledger import INTERRUPTED, Ledger
from mixpanel_fetch_postgres.load import PostgresLoad
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.options import Target
from mixpanel_fetch_postgres.reader import Reader
from mixpanel_fetch_postgres.staging import create_staging
from mixpanel_fetch_postgres.sync_ledger import SyncLedger


class PostgresEngine:
    """An engine of :mod:`mixpanel_fetch.protocols`: resumable, queryable, of syncs and columns.

    ``location``: ``user:password@host:port/database``. ``options``: ``schema`` (that of a table
    named without one; default: the first of the search_path) and libpq's connection parameters.

    Connects in ``check`` or ``begin``, and lets go in ``close``. Raises ConfigError for what
    cannot be a connection.
    """

    capabilities = CAPABILITIES

    def __init__(self, location: str, **options: Any) -> None:
        self._target = Target.of(location, options)
        self.label = self._target.label
        self._db: Database | None = None
        self._reader = Reader(self._target)

    def check(self, table: str, mode: Mode) -> None:
        """Refuse what ``begin`` would refuse, before a request is spent. Creates nothing.

        From here until ``close`` no other run can write to the table. To resume a run that is
        partial, check with mode ``merge``: its table is there. Raises ConfigError,
        TableExistsError, TableNotFoundError.
        """
        name = self._name(table)
        db = self._open()
        with failures.translated(f"cannot look at table {name}", opening=True):
            name = catalog.located(db, name)
            db.hold(name)
            catalog.admit(db, name, mode)

    def begin(self, table: str, mode: Mode, run: RunInfo) -> PostgresLoad:
        """Prepare to load ``table``, in the schema ``mixpanel_fetch`` and beside the table.

        With the ``run_id`` of an interrupted run, its staging goes on, unless the run now has
        another session: then its pages are dropped. Any other interrupted run of the table is
        superseded. Raises ConfigError, StorageError, TableExistsError, TableNotFoundError.
        """
        name = self._name(table)
        run = replace(run, mode=mode, table=table)
        db = self._open()
        with failures.translated(f"cannot prepare table {name}"):
            name = catalog.located(db, name)
            db.hold(name)
            return _begin(db, name, run)

    def count(self, table: str) -> int | None:
        """Return the rows of ``table``, None where there is none."""
        name = self._name(table)
        with self._visit() as db:
            name = catalog.located(db, name)
            if catalog.find_oid(db, name) is None:
                return None
            return int(db.value(f"SELECT count(*) FROM {name.sql}"))

    def interrupted(self, table: str) -> RunInfo | None:
        """Return the run of ``table`` that can go on, or None.

        A run whose staging or table has been changed by hand cannot: its ledger no longer holds.
        """
        name = self._name(table)
        with self._visit() as db:
            name = catalog.located(db, name)
            for entry in Ledger(db).entries():
                if entry.name == name and resume.can_go_on(db, entry):
                    return entry.info
            return None

    def runs(self) -> Sequence[RunRecord]:
        """Return every run, the newest first. ``total_rows`` is None until something is public."""
        with self._visit() as db:
            return [entry.record() for entry in Ledger(db).entries()]

    def discard(self, run_id: str) -> None:
        """Drop an interrupted run: its staging and its ledger. What it published stays.

        Raises ConfigError for a run that is unknown, not interrupted, or at work.
        """
        with self._visit() as db:
            entry = Ledger(db).find(run_id)
            if entry is None or entry.status not in INTERRUPTED:
                raise ConfigError(f"there is no interrupted run {run_id}; `mp runs` lists them")
            db.hold(entry.name)
            with db.transaction():
                resume.drop_run(db, entry)

    def sync_state(self, table: str) -> SyncState | None:
        """Return what is remembered of a table that is kept in step."""
        name = self._name(table)
        with self._visit() as db:
            return SyncLedger(db).find(catalog.located(db, name))

    def check_in_step(self, table: str, order: SyncOrder) -> None:
        """Refuse a table that cannot be kept in step as ``order`` says. Raises ConfigError."""
        name = self._name(table)
        with self._visit() as db:
            in_step.admit(db, catalog.located(db, name), order)

    def property_kinds(
        self, table: str, null_texts: Sequence[str] = ()
    ) -> Mapping[str, Mapping[Kind, int]]:
        """Return how many values of each kind each property has. Raises TableNotFoundError."""
        return self._reader.property_kinds(table, null_texts)

    def show_columns(
        self, table: str, view: str, columns: Sequence[Column], null_texts: Sequence[str] = ()
    ) -> None:
        """Make or change the view that shows properties as columns. Raises ConfigError.

        A view that is named without a schema is made in that of a table named without one.
        """
        name = self._name(view)
        with self._visit() as db, failures.translated(f"cannot make the view {name}"):
            found = listing.find(db, self._target.schema, table)
            typed_view.create(db, found, catalog.located(db, name), columns, null_texts)

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables and views that may be read, by name. Raises ConfigError."""
        return self._reader.tables()

    def query(self, sql: str) -> PostgresAnswer:
        """Ask ``sql``, one statement that reads. Raises ConfigError with the server's words."""
        return self._reader.query(sql)

    def inspect(self, table: str, *, top: int = 5) -> TableSummary:
        """Return what is in ``table``, a view too. Raises TableNotFoundError, ConfigError."""
        return self._reader.inspect(table, top)

    def interrupt(self) -> None:
        """End a running statement soon. May be called from any thread, at any time."""
        db = self._db
        if db is not None:
            db.interrupt()
        self._reader.interrupt()

    def close(self) -> None:
        """Let go of the connections, and of the table. May be called twice."""
        self._reader.close()
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _name(self, table: str) -> TableName:
        return TableName.parse(table, self._target.schema)

    def _open(self) -> Database:
        if self._db is None:
            self._db = connected(self._target)
        self._db.resumes()
        return self._db

    @contextmanager
    def _visit(self) -> Iterator[Database]:
        """Yield the database. Closes what it opened."""
        was_open = self._db is not None
        db = self._open()
        try:
            with failures.translated("cannot read the database"):
                yield db
        finally:
            if not was_open:
                self.close()


def _begin(db: Database, name: TableName, run: RunInfo) -> PostgresLoad:
    """Note that a run begins, in one transaction with all that it makes and drops.

    What is known of the table is read before: nobody else changes it while we hold the table, and
    runs of other tables, which may begin just now, need not wait for it.
    """
    ledger = Ledger(db)
    entries = ledger.entries()
    earlier = next((e for e in entries if e.info.run_id == run.run_id), None)
    if earlier is not None and not resume.goes_on(db, earlier, name, run):
        earlier = None
    with db.transaction():
        ledger.alone()
        if earlier is None or not earlier.published:
            catalog.admit(db, name, run.mode)
        created_metadata = not ledger.exists()
        ledger.create()
        if run.sync is not None:
            in_step.admit(db, name, run.sync)
            SyncLedger(db).create()
        for entry in entries:
            if entry is not earlier and entry.name == name and entry.status in INTERRUPTED:
                resume.drop_run(db, entry)
        if earlier is None:
            ledger.forget_pages(run.run_id)
        if earlier is None or earlier.status == "partial":
            create_staging(db, run.run_id, name)
        ledger.start(run, name, earlier)
    return PostgresLoad(db, run, name, earlier=earlier, created_metadata=created_metadata)
