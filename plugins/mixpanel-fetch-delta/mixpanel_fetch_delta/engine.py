"""The engine: where tables are, which runs were interrupted, and how a load begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.protocols import Answer
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch_delta import CAPABILITIES, failures
from mixpanel_fetch_delta.bench import Bench
from mixpanel_fetch_delta.lake import open_lake
from mixpanel_fetch_delta.ledger import Ledger
from mixpanel_fetch_delta.load import DeltaLoad
from mixpanel_fetch_delta.names import checked
from mixpanel_fetch_delta.options import Target
from mixpanel_fetch_delta.reader import Reader
from mixpanel_fetch_delta.record import Record
from mixpanel_fetch_delta.runs import Runs
from mixpanel_fetch_delta.table import Table


class DeltaEngine:
    """A ResumableEngine and QueryableEngine (:mod:`mixpanel_fetch.protocols`) over a lake.

    ``location``: a folder, percent-encoded, or ``s3://bucket/prefix``; each table is a folder in
    it. ``options``: those of :class:`~mixpanel_fetch_delta.options.DeltaOptions`. Nothing is
    opened before ``check`` or ``begin``. Raises ConfigError for what is no place.
    """

    capabilities = CAPABILITIES

    def __init__(self, location: str, **options: Any) -> None:
        self._target = Target.of(location, options)
        self._lake = open_lake(self._target)
        self.label = f"delta://{'/' if self._target.folder else ''}{self._lake.label}"
        self._load: DeltaLoad | None = None
        self._bench: Bench | None = None
        self._reader = Reader(self._lake, self._target)

    def check(self, table: str, mode: Mode) -> None:
        """Refuse what ``begin`` would refuse, before a request is spent. Creates nothing.

        To resume a run that is partial, check with mode ``merge``: its table is there. Raises
        ConfigError, TableExistsError, TableNotFoundError.
        """
        checked(table)
        self._lake.open("write")
        with self._translated(f"cannot look at table {table}", opening=True):
            Table(self._lake, table).admit(mode)

    def begin(self, table: str, mode: Mode, run: RunInfo) -> DeltaLoad:
        """Prepare to load ``table``, in the folder ``_mixpanel_fetch`` beside it.

        With the ``run_id`` of an interrupted run, its staging goes on, unless the run now has
        another session: then its pages are dropped. Any other interrupted run of the table is
        superseded. Raises ConfigError, StorageError, TableExistsError, TableNotFoundError.
        """
        checked(table)
        self._lake.open("write")
        run = replace(run, mode=mode, table=table)
        with self._translated(f"cannot prepare table {table}"):
            earlier = self._earlier(run)
            if earlier is None or not earlier.published:
                Table(self._lake, table).admit(mode)
            record = replace(
                earlier or Record(run, "running", ""),
                info=run,
                status="running",
                owner=uuid4().hex,
                finished_at=None,
            )
            Ledger(self._lake).keep(record)
            self._let_go()
            habits, secrets = self._target.habits, self._target.secrets
            self._bench = Bench(self._lake.workshop(run.run_id), habits.memory)
            self._load = DeltaLoad(self._lake, record, self._bench, habits, secrets)
            return self._load

    def count(self, table: str) -> int | None:
        """Return the rows of ``table``, None where there is none."""
        checked(table)
        with self._translated(f"cannot count table {table}"):
            version = Table(self._lake, table).find()
            return None if version is None else version.rows()

    def interrupted(self, table: str) -> RunInfo | None:
        """Return the run of ``table`` that can go on, or None."""
        checked(table)
        with self._translated("cannot read which runs there are", opening=True):
            return Runs(self._lake).interrupted(table)

    def runs(self) -> Sequence[RunRecord]:
        """Return every run, the newest first. ``total_rows`` is None until something is public."""
        with self._translated("cannot read which runs there are", opening=True):
            return Runs(self._lake).all()

    def discard(self, run_id: str) -> None:
        """Drop an interrupted run and what it staged. What it published stays.

        Raises ConfigError for a run that is unknown or not interrupted.
        """
        with self._translated(f"cannot discard run {run_id}"):
            Runs(self._lake).discard(run_id)

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables, by name. Raises ConfigError."""
        return self._reader.tables()

    def query(self, sql: str) -> Answer:
        """Ask ``sql``, one statement of DuckDB's that reads. Raises ConfigError."""
        return self._reader.query(sql)

    def inspect(self, table: str, *, top: int = 5) -> TableSummary:
        """Return what is in ``table``. Raises TableNotFoundError, ConfigError."""
        return self._reader.inspect(checked(table), top)

    def interrupt(self) -> None:
        """End a running statement soon. May be called from any thread, at any time."""
        load = self._load
        if load is not None:
            load.interrupt()
        self._reader.interrupt()

    def close(self) -> None:
        """Let go of DuckDB and of what was put aside. May be called twice."""
        self._reader.close()
        self._let_go()

    def _earlier(self, run: RunInfo) -> Record | None:
        """Return the record that ``run`` goes on with; every other run of its table is dropped."""
        runs = Runs(self._lake)
        found = None
        for record in runs.settle(run.table):
            # Pages of two sessions cut the same profiles in different places: no mixing them.
            same = record.info.session_id == run.session_id
            if record.info.run_id == run.run_id and same:
                found = record
            else:
                runs.drop(record)
        return found

    def _let_go(self) -> None:
        bench, self._bench, self._load = self._bench, None, None
        if bench is not None:
            bench.close()
            self._lake.leave(bench.workshop)

    @contextmanager
    def _translated(self, doing: str, *, opening: bool = False) -> Iterator[None]:
        with failures.translated(doing, opening=opening, secrets=self._target.secrets):
            yield
