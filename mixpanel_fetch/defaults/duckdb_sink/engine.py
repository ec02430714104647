"""The engine: where tables are, which runs were interrupted, and how a load begins."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import duckdb

from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.defaults.duckdb_sink import (
    CAPABILITIES,
    catalog,
    failures,
    listing,
    options,
    resume,
    typed_view,
)
from mixpanel_fetch.defaults.duckdb_sink.asking import DuckDBAnswer
from mixpanel_fetch.defaults.duckdb_sink.database import (
    READING,
    Database,
    open_file,
    open_host,
    open_to_read,
    remove_file,
    usable,
)
from mixpanel_fetch.defaults.duckdb_sink.in_step import refuse_unfit
from mixpanel_fetch.defaults.duckdb_sink.ledger import INTERRUPTED, Ledger
from mixpanel_fetch.defaults.duckdb_sink.load import DuckDBLoad
from mixpanel_fetch.defaults.duckdb_sink.memory import MemoryBudget
from mixpanel_fetch.defaults.duckdb_sink.names import TableName
from mixpanel_fetch.defaults.duckdb_sink.reader import Reader
from mixpanel_fetch.defaults.duckdb_sink.staging import create_staging
from mixpanel_fetch.defaults.duckdb_sink.sync_ledger import SyncLedger
from mixpanel_fetch.errors import ConfigError, StorageError, TableNotFoundError
from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch.sizes import bytes_of
from mixpanel_fetch.sync import SyncOrder, SyncState


class DuckDBEngine:
    """A ResumableEngine and QueryableEngine (:mod:`mixpanel_fetch.protocols`) over one database.

    ``path``: the file, made by ``begin`` if it is missing. ``connection``: one of the host's
    instead; the engine works on a cursor of it, never closes it, and sets on it only what is given
    here and ``checkpoint_threshold``.

    ``memory_limit``: what DuckDB may take for rows (``300MB``; default 200MB); an index gets more
    once it needs more. ``checkpoint_threshold``: how much is written ahead before it is compressed
    into the file (default 128MB). ``threads``: DuckDB's (default: one a core, at most 4).
    ``index``: ``primary`` makes ``distinct_id`` the primary key of a table that is made, ``none``
    does not; ``auto`` does for at most 100,000 rows, and for a table that is kept in step.

    Raises ConfigError for values that these cannot have.
    """

    capabilities = CAPABILITIES

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        connection: duckdb.DuckDBPyConnection | None = None,
        memory_limit: str | None = None,
        checkpoint_threshold: str = options.CHECKPOINT,
        threads: int | None = None,
        index: options.Index = "auto",
    ) -> None:
        if (path is None) == (connection is None):
            raise ConfigError("give either the path of a DuckDB file or a connection")
        self._settings = options.settings_of(
            memory_limit, checkpoint_threshold, threads, own=connection is None
        )
        memory = self._settings.get("memory_limit")
        self._memory = None if memory is None else bytes_of(memory)
        self._index = options.index_of(index)
        self._path = None if path is None else Path(path)
        self._host = connection
        self._db: Database | None = None
        self._reader = Reader(self._open_to_read, self._memory or bytes_of(options.MEMORY))

    def check(self, table: str, mode: Mode) -> None:
        """Refuse what ``begin`` would refuse, before a request is spent. Creates nothing.

        An existing file is opened and stays open until ``close``, so that no other process takes
        it meanwhile. To resume a run that is partial, check with mode ``merge``: its table is
        there. Raises ConfigError, TableExistsError, TableNotFoundError.
        """
        name = TableName.parse(table)
        if self._there():
            with failures.translated(f"cannot look at table {name}", opening=True):
                catalog.admit(self._open(), name, mode)
        elif str(name) != name.table:
            raise ConfigError(f"there is no schema {name.schema}: {self._path} does not exist yet")
        elif mode == "append":
            raise catalog.missing(name)

    def begin(self, table: str, mode: Mode, run: RunInfo) -> DuckDBLoad:
        """Prepare to load ``table``, creating the file if need be.

        With the ``run_id`` of an interrupted run, its staging goes on, unless the run now has
        another session: then its pages are dropped. Any other interrupted run of the table is
        superseded. Raises ConfigError, StorageError, TableExistsError, TableNotFoundError.
        """
        name = TableName.parse(table)
        run = replace(run, mode=mode)
        self._there()
        try:
            with failures.translated(f"cannot prepare table {name}"):
                return self._begin(name, run)
        except BaseException:
            self._remove_if_new()
            raise

    def count(self, table: str) -> int | None:
        """Return the rows of ``table``, None where there is none."""
        with self._visit() as db:
            found = None if db is None else catalog.find_table(db, TableName.parse(table))
            if db is None or found is None:
                return None
            return int(db.value(f"SELECT count(*) FROM {db.sql(found)}"))

    def interrupted(self, table: str) -> RunInfo | None:
        """Return the run of ``table`` that can go on, or None.

        A run whose staging or table has been changed by hand cannot: its ledger no longer holds.
        """
        name = TableName.parse(table)
        with self._visit() as db:
            if db is None:
                return None
            for entry in Ledger(db).entries():
                if entry.name.same(name) and resume.can_go_on(db, entry):
                    return entry.info
            return None

    def runs(self) -> Sequence[RunRecord]:
        """Return every run, the newest first. ``total_rows`` is None until something is public."""
        with self._visit() as db:
            return [] if db is None else [entry.record() for entry in Ledger(db).entries()]

    def discard(self, run_id: str) -> None:
        """Drop an interrupted run: its staging and its ledger. What it published stays.

        Raises ConfigError for a run that is unknown or not interrupted.
        """
        with self._visit() as db:
            entry = None if db is None else Ledger(db).find(run_id)
            if db is None or entry is None or entry.status not in INTERRUPTED:
                raise ConfigError(f"there is no interrupted run {run_id}; `mp runs` lists them")
            with db.transaction():
                resume.drop_run(db, entry)

    def sync_state(self, table: str) -> SyncState | None:
        """Return what is remembered of a table that is kept in step."""
        with self._visit() as db:
            return None if db is None else SyncLedger(db).find(TableName.parse(table))

    def check_in_step(self, table: str, order: SyncOrder) -> None:
        """Refuse a table that cannot be kept in step as ``order`` says. Raises ConfigError."""
        with self._visit() as db:
            if db is not None:
                refuse_unfit(db, TableName.parse(table), order)

    def property_kinds(
        self, table: str, null_texts: Sequence[str] = ()
    ) -> Mapping[str, Mapping[Kind, int]]:
        """Return how many values of each kind each property has. Raises TableNotFoundError."""
        return self._reader.property_kinds(table, null_texts)

    def show_columns(
        self, table: str, view: str, columns: Sequence[Column], null_texts: Sequence[str] = ()
    ) -> None:
        """Make or change the view that shows properties as columns. Raises ConfigError."""
        with self._visit() as db, failures.translated(f"cannot make the view {view}"):
            if db is None:
                raise TableNotFoundError(f"there is no table {table}: {self._path} does not exist")
            name = catalog.located(db, TableName.parse(view))
            typed_view.create(db, listing.find(db, table), name, columns, null_texts)

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables and views, by name. Raises ConfigError where there is no file."""
        return self._reader.tables()

    def query(self, sql: str) -> DuckDBAnswer:
        """Ask ``sql``, one statement that reads. Raises ConfigError with DuckDB's own words."""
        return self._reader.query(sql)

    def inspect(self, table: str, *, top: int = 5) -> TableSummary:
        """Return what is in ``table``, a view too. Raises TableNotFoundError, ConfigError.

        Different values are counted as long as they fit into a quarter of ``memory_limit``, those
        of properties that have few of them first; beyond that, ``distinct`` is an estimate.
        """
        return self._reader.inspect(table, top)

    def interrupt(self) -> None:
        """End a running statement soon. May be called from any thread, at any time."""
        db = self._db
        if db is not None:
            db.interrupt()
        self._reader.interrupt()

    def close(self) -> None:
        """Put settings back and let go of the database; the last one out checkpoints it."""
        self._reader.close()
        db, self._db = self._db, None
        if db is not None:
            with failures.translated("cannot close the database"):
                db.close()

    def _begin(self, name: TableName, run: RunInfo) -> DuckDBLoad:
        db = self._open()
        ledger = Ledger(db)
        entries = ledger.entries()
        earlier = next((e for e in entries if e.info.run_id == run.run_id), None)
        if earlier is not None and not resume.goes_on(db, earlier, name, run):
            earlier = None
        if earlier is None or not earlier.published:
            catalog.admit(db, name, run.mode)
        name = catalog.located(db, name)
        created_metadata = not ledger.exists()
        with db.transaction():
            ledger.create()
            for entry in entries:
                if entry is not earlier and entry.name.same(name) and entry.status in INTERRUPTED:
                    resume.drop_run(db, entry)
            if earlier is None:
                ledger.forget_pages(run.run_id)
            if earlier is None or earlier.status == "partial":
                create_staging(db, run.run_id, name)
            ledger.start(run, name, earlier)
        return DuckDBLoad(
            db,
            MemoryBudget(db.connection, self._memory),
            run,
            name,
            index=self._index,
            earlier=earlier,
            created_metadata=created_metadata,
            undo=self._remove,
        )

    def _there(self) -> bool:
        return self._path is None or usable(self._path)

    def _open(self) -> Database:
        if self._db is None:
            if self._host is not None:
                self._db = open_host(self._host, self._settings)
            elif self._path is not None:
                self._db = open_file(self._path, self._settings)
        assert self._db is not None
        return self._db

    def _open_to_read(self) -> Database:
        host = self._host if self._db is None else self._db.connection
        if host is not None:
            return open_host(host, READING)
        assert self._path is not None
        limits = {k: v for k, v in self._settings.items() if k != "checkpoint_threshold"}
        return open_to_read(self._path, limits)

    @contextmanager
    def _visit(self) -> Iterator[Database | None]:
        """Yield the database; None where there is no file. Closes what it opened."""
        if self._db is not None:
            with failures.translated("cannot read the database"):
                yield self._db
        elif not self._there():
            yield None
        else:
            try:
                with failures.translated("cannot read the database"):
                    yield self._open()
            finally:
                self.close()

    def _remove_if_new(self) -> None:
        # Only a file that this engine made and opened: another process may have been faster.
        with suppress(duckdb.Error):
            if self._db is not None and self._db.created and catalog.is_bare(self._db):
                self._remove()

    def _remove(self) -> None:
        self.close()
        if self._path is None:
            return
        try:
            remove_file(self._path)
        except OSError as error:
            raise StorageError(f"cannot remove {self._path}: {error.strerror}") from error
