"""kill -9 of a real process at many instants: rows and ledger agree, and the run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine

PAGES = 12

# Dies by its own hand right before or after the statement that begins with WHEN, the NTH time:
# every instant that matters, and the same one each time. DuckDB's connection cannot be patched, so
# the Database's methods that reach it are.
PROGRAM = """
    import os, signal, sys
    from datetime import datetime, timezone
    from mixpanel_fetch.batch import Batch
    from mixpanel_fetch.defaults.duckdb_sink import database
    from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
    from mixpanel_fetch.model import ProfileQuery, RunInfo

    path, mode, when, nth, moment, index = sys.argv[1:]
    left = int(nth)

    class Doomed:
        def __init__(self, connection):
            self.connection = connection
        def execute(self, statement, *parameters):
            global left
            hit = statement.split()[0] == when or when in statement
            left -= hit
            if hit and left == 0 and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = self.connection.execute(statement, *parameters)
            if hit and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        def close(self):
            self.execute("SELECT 'CLOSE'") if when == "CLOSE" else None
            self.connection.close()

    connect = database._connect
    database._connect = lambda path: Doomed(connect(path))
    engine = DuckDBEngine(path, checkpoint_threshold="1MB", index=index)
    info = engine.interrupted("users")
    run = info or RunInfo("r", "users", mode, ProfileQuery(), "s", None, 50, 12, (), {},
                          datetime.now(timezone.utc), "d")
    load = engine.begin("users", mode, run)
    for page in range(12):
        if page not in load.landed_pages():
            ids = [f"{page}-{row}" for row in range(50)] + ["same"]
            rows = [{"distinct_id": i, "properties": {"v": page, "pad": "x" * 900}} for i in ids]
            load.write(page, Batch.from_rows(rows))
            print(page, flush=True)
    load.commit()
    print("published", flush=True)
    engine.close()
"""


def crash(path, mode, when, nth=1, moment="before", *, index="none"):
    arguments = [str(path), mode, when, str(nth), moment, index]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def finish(kit, path, mode, *, index="none"):
    engine = DuckDBEngine(path, index=index)
    info = engine.interrupted("users")
    load = engine.begin("users", mode, info or kit.run_info(mode, total_pages=PAGES))
    landed = load.landed_pages()
    for page in set(range(PAGES)) - landed:
        ids = [f"{page}-{row}" for row in range(50)]
        load.write(page, kit.batch(*ids, "same", value=page))
    load.commit()
    engine.close()
    assert not kit.staged(path)
    rows = kit.values(path)
    assert len(rows) == 50 * PAGES + (2 if "old" in rows else 1)
    assert rows["same"] == str(PAGES - 1)
    return landed


@pytest.mark.parametrize(
    ("mode", "instant"),
    [
        ("create", ("CREATE", 1, "after")),
        ("create", ("COMMIT", 1, "before")),
        ("create", ("COMMIT", 1, "after")),
        ("create", ("COMMIT", 6, "before")),
        ("create", ("COMMIT", 6, "after")),
        ("merge", ("COMMIT", 1, "after")),
        ("merge", ("COMMIT", 6, "after")),
    ],
)
def test_a_kill_while_pages_land(kit, path, mode, instant):
    if mode == "merge":
        kit.fetch(DuckDBEngine(path), {0: kit.batch("old", "same")})
    said = crash(path, mode, *instant)
    if mode == "merge":
        assert kit.values(path) == {"old": "1", "same": "1"}
    landed = finish(kit, path, mode)
    # What was said to have landed has; a page that had just been committed may have, too.
    assert {int(page) for page in said} <= landed
    assert len(landed) <= len(said) + 1


DROPPED, COPIED = "WHERE rowid IN (SELECT id", "_copy"


@pytest.mark.parametrize(
    ("mode", "index", "when", "moment"),
    [
        ("create", "none", DROPPED, "after"),
        ("create", "none", "DROP TABLE mixpanel_fetch_repeated", "after"),
        ("create", "none", "RENAME TO", "after"),
        ("create", "none", "SET status", "after"),
        ("create", "primary", DROPPED, "after"),
        ("create", "primary", COPIED, "after"),
        ("create", "primary", "RENAME TO", "after"),
        ("create", "primary", "ADD PRIMARY KEY", "before"),
        ("create", "primary", "ADD PRIMARY KEY", "after"),
        ("create", "primary", "SET status", "after"),
        ("merge", "none", DROPPED, "after"),
        ("merge", "none", "MERGE", "after"),
        ("merge", "none", "SET status", "after"),
        ("merge", "primary", "MERGE", "after"),
        ("replace", "none", "DROP COLUMN", "before"),
        ("replace", "none", "DROP COLUMN", "after"),
        ("replace", "none", "SET status", "after"),
        ("replace", "primary", "DROP COLUMN", "after"),
    ],
)
def test_a_kill_before_the_publish_is_through(kit, path, mode, index, when, moment):  # noqa: PLR0917
    old = {} if mode == "create" else {"old": "1", "same": "1"}
    if old:
        kit.fetch(DuckDBEngine(path, index=index), {0: kit.batch("old", "same")})
    said = crash(path, mode, when, 1, moment, index=index)
    assert said == [str(page) for page in range(PAGES)]
    assert DuckDBEngine(path).count("users") == (len(old) or None)
    assert len(finish(kit, path, mode, index=index)) == PAGES


def test_kill_after_kill_the_run_arrives(kit, path):
    # The first COMMIT is that of begin, the others are one a page.
    for nth in (2, 3, 2, 4, 3):
        crash(path, "create", "COMMIT", nth, "before")
    assert len(finish(kit, path, "create")) == 0 + 1 + 0 + 2 + 1


@pytest.mark.parametrize("index", ["none", "primary"])
@pytest.mark.parametrize("mode", ["create", "merge", "replace"])
def test_a_kill_after_the_publish_before_any_checkpoint(kit, path, mode, index):
    if mode != "create":
        kit.fetch(DuckDBEngine(path, index=index), {0: kit.batch("old", "same")})
    opened_before = 1 if mode == "create" else 2
    assert crash(path, mode, "CLOSE", opened_before, index=index)[-1] == "published"
    engine = DuckDBEngine(path)
    assert engine.interrupted("users") is None
    assert engine.runs()[0].status == "complete"
    assert engine.count("users") == 50 * PAGES + (2 if mode == "merge" else 1)
    rows = kit.values(path)
    assert rows["same"] == "11"
    if index == "primary":  # it came through the write-ahead log, too
        with pytest.raises(Exception, match="Duplicate key"):
            kit.make(path, "INSERT INTO users (distinct_id) VALUES ('same')")
