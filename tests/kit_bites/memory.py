"""A sink in memory that keeps every promise. What is broken is a subclass of it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.errors import (
    ConfigError,
    StorageError,
    TableExistsError,
    TableNotFoundError,
)
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad, SinkSpec, require_mode
from mixpanel_fetch.model import LoadReport, RunInfo, RunRecord
from mixpanel_fetch.sync import SyncState
from mixpanel_fetch.testing import SinkCase

from .memory_columns import ColumnsEngine, View
from .memory_reading import ReadableEngine, select_all
from .memory_sync import InStepEngine, InStepLoad

EVERYTHING = frozenset(
    {
        *("append", "replace", "merge", "keyed", "resume", "query", "sync", "columns"),
        "concurrent",
    }
)
WITHOUT_RESUME = EVERYTHING - {"resume", "sync"}
OPEN = {"running", "suspended", "partial"}
SECRET = "s3cret"


@dataclass
class Run:
    """One run as the store remembers it. ``pages``: the rows of each that is staged."""

    info: RunInfo
    status: str = "running"
    pages: dict[int, list] = field(default_factory=dict)
    public: frozenset[int] = frozenset()
    total: int | None = None
    notes: dict[int, str] = field(default_factory=dict)

    @property
    def landed(self):
        return frozenset(self.pages) | self.public

    def record(self):
        every = frozenset(range(self.info.total_pages))
        landed = every if self.status == "complete" else self.landed
        ended = datetime.now(timezone.utc)
        return RunRecord(self.info, self.status, landed, self.total, ended, dict(self.notes))


@dataclass
class Store:
    """What outlives an engine: tables of (id, properties, last_seen), runs, and what was sent.

    By table also: since when which ids are marked as gone, what is remembered of its syncs, its
    versions; and views by their names.
    """

    tables: dict[str, list] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    sent: list = field(default_factory=list)
    marks: dict[str, dict] = field(default_factory=dict)
    states: dict[str, SyncState] = field(default_factory=dict)
    versions: dict[str, list] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def read(self, table):
        rows, marks = self.tables.get(table), self.marks.get(table, {})
        if rows is None:
            return None
        return [as_dict(row) | {"deleted_at": marks.get(row[0])} for row in rows]

    def read_versions(self, table):
        return [as_dict(one["row"]) | one for one in self.versions.get(table, ())]

    def read_sent(self, table):
        return [as_dict(row) for row in self.sent]


def as_dict(row):
    distinct_id, properties, last_seen = row
    return {
        "distinct_id": distinct_id,
        "properties": json.loads(properties),
        "last_seen": last_seen,
    }


class MemoryLoad(InStepLoad):
    """Pages are staged in the store until commit."""

    def __init__(self, engine, run):
        self.engine, self.store, self.run = engine, engine.store, run
        self.table, self.keyed = run.info.table, "keyed" in engine.capabilities
        self.repaired = 0

    def landed_pages(self):
        return self.run.landed

    def write(self, page_index, batch):
        self.keep(page_index, self.rows_of(batch))
        if batch.note:
            self.note(page_index, batch.note)
        return len(batch)

    def note(self, page_index, note):
        self.run.notes[page_index] = note

    def write_pages(self, pages):
        return [self.write(index, batch) for index, batch in pages]

    def rows_of(self, batch):
        rows = [self.row(*row) for row in columns(batch)]
        if not all(isinstance(row[1], bytes) for row in rows):
            raise StorageError("properties must be bytes")
        return rows

    def row(self, distinct_id, properties, last_seen):
        return distinct_id, properties, last_seen

    def keep(self, page_index, rows):
        self.run.pages[page_index] = rows

    def staged(self):
        return [row for index in sorted(self.run.pages) for row in self.run.pages[index]]

    def unique(self, rows):
        return list({row[0]: row for row in rows}.values()) if self.keyed else rows

    def count_duplicates(self):
        return len(self.staged()) - len(self.unique(self.staged()))

    def commit(self):
        rows = self.unique(self.staged())
        old = self.old_rows()
        if old is None and self.run.info.mode == "append":
            raise TableNotFoundError(f"table {self.table} does not exist")
        ids = {row[0] for row in old or ()} if self.keyed else set()
        updated = sum(row[0] in ids for row in rows)
        report = self.report(rows, updated)
        self.publish(old, rows)
        if self.run.info.mode == "replace":
            self.forget()
        self.finish(report)
        return report

    def old_rows(self):
        over = self.run.public or self.run.info.mode in {"append", "merge"}
        return self.store.tables.get(self.table) if over else None

    def publish(self, old, rows):
        self.store.tables[self.table] = self.unique([*(old or ()), *rows])

    def forget(self):
        self.store.states.pop(self.table, None)
        self.store.marks.pop(self.table, None)

    def report(self, rows, updated):
        return LoadReport(
            total_rows=len(rows),
            inserted=len(rows) - updated,
            updated=updated,
            duplicate_rows=self.count_duplicates(),
            repaired_values=self.repaired,
        )

    def finish(self, report):
        whole = len(self.run.landed) >= self.run.info.total_pages
        self.run.public = self.run.landed
        self.run.pages = {}
        self.run.total = report.total_rows
        self.run.status = "complete" if whole else "partial"

    def suspend(self):
        if "resume" in self.engine.capabilities:
            self.run.status = "partial" if self.run.public else "suspended"
        else:
            self.abort()

    def abort(self):
        self.run.status = "aborted"
        self.run.pages = {}


class MemoryEngine(ReadableEngine, InStepEngine, ColumnsEngine, BaseEngine):
    """Tables in a Store."""

    load = MemoryLoad
    capabilities = EVERYTHING

    def __init__(self, store, location=""):
        self.store, self.location = store, location

    def check(self, table, mode):
        require_mode("memory", mode, self.capabilities)
        if "@down" in self.location:
            raise ConfigError("cannot connect to memory://***@down")
        if mode == "create" and table in self.store.tables:
            raise TableExistsError(f"table {table} exists")
        if mode == "append" and table not in self.store.tables:
            raise TableNotFoundError(f"table {table} does not exist")

    def begin(self, table, mode, run):
        with self.store.lock:
            earlier = self.open_run(run.run_id)
            if earlier is not None and earlier.info.session_id == run.session_id:
                return self.load(self, earlier)
            self.check(table, mode)
            self.supersede(table)
            fresh = Run(replace(run, mode=mode))
            self.store.runs = [one for one in self.store.runs if one.info.run_id != run.run_id]
            self.store.runs.append(fresh)
        return self.load(self, fresh)

    def open_run(self, run_id):
        for run in self.store.runs:
            if run.info.run_id == run_id and run.status in OPEN:
                return run if "resume" in self.capabilities else None
        return None

    def supersede(self, table):
        for run in self.store.runs:
            if run.info.table == table and run.status in OPEN:
                run.status = "aborted"

    def count(self, table):
        rows = self.store.tables.get(table)
        return None if rows is None else len(rows)

    def interrupt(self):
        pass

    def interrupted(self, table):
        for run in reversed(self.store.runs):
            if run.info.table == table and run.status in OPEN:
                return run.info
        return None

    def runs(self):
        return [run.record() for run in reversed(self.store.runs)]

    def discard(self, run_id):
        run = self.open_run(run_id)
        if run is None:
            raise ConfigError(f"there is no interrupted run {run_id}")
        run.status, run.pages = "aborted", {}


class StreamLoad(BaseLoad):
    """Rows go out at once."""

    def __init__(self, engine):
        self.store = engine.store

    def write(self, page_index, batch):
        rows = list(columns(batch))
        if not all(isinstance(row[1], bytes) for row in rows):
            raise StorageError("properties must be bytes")
        self.store.sent += rows
        return len(rows)


class StreamEngine(BaseEngine):
    """Nothing can be taken back."""

    load = StreamLoad
    capabilities = frozenset({"stream"})

    def __init__(self, store, location=""):
        self.store, self.location = store, location

    def begin(self, table, mode, run):
        return self.load(self)


def columns(batch):
    return zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)


def case_of(engine=MemoryEngine, capabilities=None, **changes):
    """A fresh store, and the case of ``engine`` over it."""
    store = Store()
    claims = engine.capabilities if capabilities is None else capabilities
    # The name keeps the attribute: a sink under test claims in one place.
    kind = type(engine.__name__, (engine,), {"capabilities": claims})
    spec = SinkSpec("memory", lambda location: kind(store, location), capabilities=claims)
    rows = store.read_sent if "stream" in claims else store.read
    fields = {
        "spec": spec,
        "rows": rows,
        "versions": store.read_versions,
        "select_all": select_all,
        "secrets": (SECRET,),
        "unusable": f"memory://ada:{SECRET}@down/x",
    }
    return SinkCase(f"memory://ada:{SECRET}@up/x", **{**fields, **changes})
