"""kill -9 while a table is brought in step: all of it happened or nothing, and the run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta, timezone

import duckdb
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.model import ProfileQuery, RunInfo
from mixpanel_fetch.sync import SyncOrder

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ORDER = SyncOrder("key", "full", "mark", True)
BEFORE = (
    {"same": 1, "edited": 1, "gone": 1, "twice": 1},
    {"more": 1},
)
AFTER = (
    {"same": 1, "edited": 2, "new": 1, "twice": 1},
    {"more": 1, "twice": 2},
)

# As in the other crashes: it dies by its own hand before or after a statement.
PROGRAM = """
    import os, signal, sys
    from mixpanel_fetch.defaults.duckdb_sink import database
    from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine

    path, when, moment = sys.argv[1:]
    deadly = False

    class Doomed:
        def __init__(self, connection):
            self.connection = connection
        def execute(self, statement, *parameters):
            hit = deadly and when in statement
            if hit and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = self.connection.execute(statement, *parameters)
            if hit:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        def close(self):
            self.connection.close()

    connect = database._connect
    database._connect = lambda path: Doomed(connect(path))
    engine = DuckDBEngine(path)
    run = engine.interrupted("users")
    load = engine.begin("users", "merge", run)
    assert load.landed_pages() == {0, 1}
    load.count_gone()
    deadly = True
    load.commit_in_step(complete=True)
"""


def begin(path, pages, number=0):
    run = RunInfo(
        *(f"run-{number}", "users", "merge", ProfileQuery(), "session", 5, 5, len(pages), ()),
        {"sync": ORDER.text()},
        BEGAN + timedelta(days=number),
        "duckdb:///r.db",
    )
    engine = DuckDBEngine(path)
    load = engine.begin("users", "merge", engine.interrupted("users") or run)
    for index, rows in enumerate(pages):
        if index not in load.landed_pages():
            load.write(
                index,
                Batch.from_rows(
                    {"distinct_id": one, "properties": {"n": n}, "last_seen": BEGAN}
                    for one, n in rows.items()
                ),
            )
    return engine, load


def publish(engine, load):
    report = load.commit_in_step(complete=True)
    engine.close()
    return report


def everything(path):
    with duckdb.connect(str(path)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()
            for table in ("users", "users_history", "mixpanel_fetch.sync")
        }


@pytest.fixture
def suspended(path):
    """A file that holds ``BEFORE``, and a run with all of ``AFTER`` that is not published yet."""
    publish(*begin(path, BEFORE))
    engine, load = begin(path, AFTER, 1)
    load.suspend()
    engine.close()
    return path


@pytest.mark.parametrize(
    ("when", "moment"),
    [
        ("BEGIN", "after"),
        ("TEMP TABLE mixpanel_fetch_changed", "after"),
        ("is_current = false", "after"),
        ("NULL, true, content_hash", "after"),
        ("MERGE", "after"),
        ("SET deleted_at", "after"),
        ("DROP TABLE", "after"),
        ('"sync" VALUES', "after"),
        ("SET status", "after"),
        ("COMMIT", "before"),
        ("COMMIT", "after"),
    ],
)
def test_a_kill_leaves_all_or_nothing(suspended, tmp_path, when, moment):
    whole = tmp_path / "whole.db"
    whole.write_bytes(suspended.read_bytes())
    report = publish(*begin(whole, AFTER, 1))
    assert (report.inserted, report.updated, report.unchanged, report.gone) == (1, 2, 2, 1)
    before, after = everything(suspended), everything(whole)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(suspended), when, moment],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    published = (when, moment) == ("COMMIT", "after")
    assert everything(suspended) == (after if published else before)
    if not published:
        again = publish(*begin(suspended, AFTER, 1))
        assert again == report
        assert everything(suspended) == after
    with duckdb.connect(str(suspended)) as connection:
        left = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE contains(table_name, 'mixpanel_fetch_')"
        ).fetchall()
    assert left == []
