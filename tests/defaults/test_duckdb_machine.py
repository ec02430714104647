"""The DuckDB sink against a model of it, in any order of its operations, with crashes between.

A crash leaves the file and its write-ahead log as they are at that instant. So a copy of the two,
made while the engine is at it, is what the next process finds; some tests kill a real process.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import (
    ConfigError,
    MixpanelFetchError,
    StorageError,
    TableExistsError,
    TableNotFoundError,
)
from mixpanel_fetch.model import ProfileQuery, RunInfo

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover

PAGES = 4
TABLES = ("users", "others")
MODES = ("create", "append", "replace", "merge")
INTERRUPTED = ("running", "suspended", "partial")
STAGED = ("running", "suspended")
STAGING = "_mixpanel_fetch_staging_"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def run_info(run_id, table, mode):
    """Return a run; ``run_id`` is a number, and the order in which runs began."""
    return RunInfo(
        run_id=str(run_id),
        table=table,
        mode=mode,
        query=ProfileQuery(),
        session_id=f"session-{run_id}",
        total=100,
        page_size=25,
        total_pages=PAGES,
        transforms=(),
        fingerprint={"query": "q"},
        started_at=START + timedelta(seconds=run_id),
        destination="duckdb:///r.db",
    )


def batch_of(rows):
    return Batch.from_rows({"distinct_id": i, "properties": {"v": v}} for i, v in rows)


# What must be


@dataclass
class Run:
    """A run as it must be remembered. ``pages``: rows by page; ``public``: those published."""

    info: RunInfo
    status: str = "running"
    pages: dict = field(default_factory=dict)
    public: set = field(default_factory=set)

    def staged(self):
        """Return the rows not yet published by id: the later page wins, then the later row."""
        rows = {}
        for index in sorted(self.pages.keys() - self.public):
            rows |= dict(self.pages[index])
        return rows

    def remembered(self):
        """Return what ``runs()`` tells: status, and the pages that have landed."""
        whole = self.status == "complete"
        return self.status, frozenset(range(PAGES) if whole else self.pages)


class Model:
    """Tables and runs, as plain values. Every method is an operation of the sink."""

    def __init__(self):
        self.tables = {}
        self.runs = {}
        self.current = None
        self.made_metadata = False

    def refusal(self, table, mode):
        """Return the error that a new run must meet, or None."""
        if mode == "create" and table in self.tables:
            return TableExistsError
        return TableNotFoundError if mode == "append" and table not in self.tables else None

    def begin(self, run_id, table, mode):
        self.made_metadata = not self.runs
        for run in self.interrupted(table):
            self.forget(run)
        self.runs[run_id] = self.current = Run(run_info(run_id, table, mode))

    def resume(self, run):
        self.made_metadata = False
        self.current = run
        run.status = "running"

    def write(self, pages):
        self.current.pages |= pages

    def commit(self):
        run, table = self.current, self.current.info.table
        mode = "merge" if run.public else run.info.mode
        before = self.tables.get(table, {}) if mode in ("append", "merge") else {}
        self.tables[table] = before | run.staged()
        run.public = set(run.pages)
        run.status = "complete" if len(run.pages) == PAGES else "partial"
        self.current = None

    def suspend(self):
        self.current.status = "suspended"
        self.current = None

    def abort(self):
        run, self.current = self.current, None
        self.forget(run)
        if self.made_metadata and len(self.runs) == 1:
            self.runs.clear()

    def drop(self):
        """The engine goes, and whoever used it: by a crash or in good order."""
        self.current = None

    def forget(self, run):
        run.status, run.pages, run.public = "aborted", {}, set()

    def interrupted(self, table):
        return [
            run
            for run in self.runs.values()
            if run.info.table == table and run.status in INTERRUPTED
        ]

    def resumable(self, table):
        """Return the run that goes on: of a partial one there must be something."""
        for run in self.interrupted(table):
            if run.status != "partial" or run.public:
                return run
        return None

    def seen(self):
        """Return what can be seen from outside, to be compared with :func:`look`."""
        runs = {run_id: run.remembered() for run_id, run in self.runs.items()}
        return copy.deepcopy((self.tables, runs))


# What is


def look(path):
    """Return tables and runs as a process finds them that opens the file now."""
    if not path.exists():
        return {}, {}
    with duckdb.connect(str(path)) as connection:
        found = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
        ).fetchall()
        staged = {name for (name,) in found if name.startswith(STAGING)}
        tables = {name: _rows(connection, name) for (name,) in found if name not in staged}
        records = DuckDBEngine(connection=connection).runs()
    order = [int(record.info.run_id) for record in records]
    assert order == sorted(order, reverse=True)
    # Nothing is left behind but what a resume will need.
    kept = {f"{STAGING}{one.info.run_id}" for one in records if one.status in STAGED}
    assert staged == kept
    runs = {int(one.info.run_id): (one.status, one.landed_pages) for one in records}
    return tables, runs


def _rows(connection, table):
    found = connection.execute(f"SELECT distinct_id, properties->>'v' FROM {table}").fetchall()
    rows = {identity: int(value) for identity, value in found}
    assert len(rows) == len(found)
    return rows


def crashed(path, folder):
    """Return the copy of a database that a crash would leave at this instant, in ``folder``."""
    folder.mkdir()
    for name in (path.name, f"{path.name}.wal"):
        if path.with_name(name).exists():
            shutil.copy(path.with_name(name), folder / name)
    return folder / path.name


# In any order

# Drawn evenly, not by hypothesis' taste for what is odd: it would hardly ever come to a commit.
IDLE = (*["begin", "go_on"] * 4, "begin_refused", "discard", "crash", "close")
WRITES = ("write", "write", "write_pages", "write_the_rest")
BUSY = (*WRITES, "commit", "commit", "suspend", "abort", "crash", "crash", "close")


class SinkMachine(RuleBasedStateMachine):
    """Operations of the sink, each done to the engine and to the model."""

    @initialize(chance=st.randoms(use_true_random=True))
    def start(self, chance):
        self.chance = chance
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        (self.folder / "0").mkdir()
        self.path = self.folder / "0" / "r.db"
        self.engine = self.opened()
        self.load = None
        self.model = Model()
        self.crashes = self.begun = 0

    def opened(self):
        return DuckDBEngine(self.path, index=self.chance.choice(["none", "primary"]))

    def teardown(self):
        if hasattr(self, "engine"):
            self.engine.close()
            shutil.rmtree(self.folder)

    @precondition(lambda self: self.load is None)
    @rule()
    def idle(self):
        self.do(self.chance.choice(IDLE))

    @precondition(lambda self: self.load is not None)
    @rule()
    def busy(self):
        self.do(self.chance.choice(BUSY))

    def do(self, operation):
        note(f"{operation} of {self.model.seen()}")
        getattr(self, operation)()

    def table(self):
        # One more often than the other, so that its runs meet.
        return self.chance.choice(("users", *TABLES))

    def rows(self):
        # Few ids, so that they repeat.
        count = self.chance.randint(0, 6)
        return [(self.chance.choice("abcdef"), self.chance.randrange(100)) for _ in range(count)]

    def begin(self):
        table = self.table()
        mode = self.chance.choice([m for m in MODES if self.model.refusal(table, m) is None])
        if self.chance.random() < 0.5:
            self.engine.check(table, mode)
        self.load = self.engine.begin(table, mode, run_info(self.begun, table, mode))
        assert self.load.landed_pages() == frozenset()
        self.model.begin(self.begun, table, mode)
        self.begun += 1

    def begin_refused(self):
        table = self.table()
        mode = "create" if table in self.model.tables else "append"
        with pytest.raises(self.model.refusal(table, mode)):
            self.engine.check(table, mode)
        with pytest.raises(self.model.refusal(table, mode)):
            self.engine.begin(table, mode, run_info(self.begun, table, mode))

    def go_on(self):
        able = [table for table in TABLES if self.model.resumable(table) is not None]
        table = self.chance.choice(able or TABLES)
        run, info = self.model.resumable(table), self.engine.interrupted(table)
        assert info == (None if run is None else run.info)
        if run is not None:
            self.load = self.engine.begin(table, info.mode, info)
            assert self.load.landed_pages() == frozenset(run.pages)
            self.model.resume(run)

    def write(self):
        self.write_page(self.chance.randrange(PAGES), self.rows())

    def write_page(self, page, rows):
        if page in self.model.current.pages:
            with pytest.raises(StorageError, match="has landed already"):
                self.load.write(page, batch_of(rows))
        else:
            assert self.load.write(page, batch_of(rows)) == len(rows)
            self.model.write({page: rows})

    def write_pages(self):
        pages = {self.chance.randrange(PAGES): self.rows() for _ in range(3)}
        new = {page: rows for page, rows in pages.items() if page not in self.model.current.pages}
        if new:
            landed = self.load.write_pages([(page, batch_of(rows)) for page, rows in new.items()])
            assert landed == [len(rows) for rows in new.values()]
            self.model.write(new)

    def write_the_rest(self):
        left = [page for page in range(PAGES) if page not in self.model.current.pages]
        self.chance.shuffle(left)
        for page in left:
            self.write_page(page, self.rows())

    def commit(self):
        run, table = self.model.current, self.model.current.info.table
        before = set(self.model.tables.get(table, ()))
        first, staged = not run.public, run.staged()
        sent = sum(map(len, run.pages.values()))
        report = self.load.commit()
        self.load = None
        self.model.commit()
        if run.info.mode in ("create", "replace"):
            there = len(self.model.tables[table])
            assert (report.total_rows, report.duplicate_rows) == (there, sent - there)
        elif first:
            known = len(staged.keys() & before)
            assert (report.inserted, report.updated) == (len(staged) - known, known)
            assert report.duplicate_rows == sent - len(staged)

    def suspend(self):
        self.load.suspend()
        self.load = None
        self.model.suspend()

    def abort(self):
        self.load.abort()
        self.load = None
        self.model.abort()

    def close(self):
        self.engine.close()
        self.load = None
        self.model.drop()

    def crash(self):
        self.crashes += 1
        path = crashed(self.path, self.folder / str(self.crashes))
        self.engine.close()  # of what nobody looks at any more
        self.path = path
        self.engine = self.opened()
        self.load = None
        self.model.drop()

    def discard(self):
        run_id = self.chance.randint(0, self.begun)
        run = self.model.runs.get(run_id)
        if run is None or run.status not in INTERRUPTED:
            with pytest.raises(ConfigError, match="no interrupted run"):
                self.engine.discard(str(run_id))
        else:
            self.engine.discard(str(run_id))
            self.model.forget(run)

    @invariant()
    def what_is_there_is_what_must_be(self):
        if not hasattr(self, "engine"):
            return
        if self.engine._db is not None:  # then its connection shares its database with this one
            assert look(self.path) == self.model.seen()
            return
        # To open the file would tidy it up, and the next step is to find it as it is.
        with tempfile.TemporaryDirectory() as folder:
            assert look(crashed(self.path, Path(folder) / "copy")) == self.model.seen()


SinkMachine.TestCase.settings = settings(
    max_examples=9,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestSinkMachine = SinkMachine.TestCase


# A real process, killed


def random_steps(seed):
    """Return operations as values: a name and its arguments, all of them allowed in their turn."""
    chance, model, steps = random.Random(seed), Model(), []
    while len(steps) < 40:
        step = _step(chance, model)
        if step is not None:
            steps.append(step)
            done_to_model(model, step)
    return steps


def _step(chance, model):
    table, mode = chance.choice(TABLES), chance.choice(MODES)
    if model.current is None:
        run = model.resumable(table)
        if run is not None and chance.random() < 0.6:
            return ["go_on", int(run.info.run_id)]
        return None if model.refusal(table, mode) else ["begin", len(model.runs), table, mode]
    left = [page for page in range(PAGES) if page not in model.current.pages]
    if left and chance.random() < 0.75:
        rows = [
            (chance.choice("abcdefgh"), chance.randrange(100)) for _ in range(chance.randint(0, 5))
        ]
        return ["write", chance.choice(left), rows]
    return [chance.choice(("commit", "commit", "suspend"))]


def done_to_model(model, step):
    name, *given = step
    if name == "go_on":
        model.resume(model.runs[given[0]])
    elif name == "write":
        model.write({given[0]: given[1]})
    else:
        getattr(model, name)(*given)


def do_steps(path, steps):
    """Do ``steps`` to a sink, saying after each that it is done. What the child runs."""
    load = None
    with closing(DuckDBEngine(path)) as engine:
        for name, *given in steps:
            if name == "begin":
                run_id, table, mode = given
                load = engine.begin(table, mode, run_info(run_id, table, mode))
            elif name == "go_on":
                info = next(one.info for one in engine.runs() if one.info.run_id == str(given[0]))
                load = engine.begin(info.table, info.mode, info)
            elif name == "write":
                load.write(given[0], batch_of(given[1]))
            else:
                getattr(load, name)()
            print(name, flush=True)


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_process_leaves_what_the_model_says(path, seed):
    steps = random_steps(seed)
    kill_after = random.Random(seed).randint(1, len(steps) - 1)
    child = subprocess.Popen(
        [sys.executable, __file__, str(path), json.dumps(steps)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        for _ in range(kill_after):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        done = kill_after + len(child.stdout.read().splitlines())
    child.wait(timeout=30)
    model, states = Model(), []
    for number, step in enumerate(steps, 1):
        done_to_model(model, step)
        if number in (done, done + 1):  # the step under way may have come to its end
            states.append(model.seen())
    assert look(path) in states
    try:
        for table in TABLES:
            engine = DuckDBEngine(path)
            with closing(engine):
                info = engine.interrupted(table)
                if info is not None:
                    engine.begin(table, info.mode, info).commit()
    except MixpanelFetchError as error:  # pragma: no cover - it would be what is looked for
        pytest.fail(f"what a kill left does not go on: {error}")


if __name__ == "__main__":
    do_steps(Path(sys.argv[1]), json.loads(sys.argv[2]))
