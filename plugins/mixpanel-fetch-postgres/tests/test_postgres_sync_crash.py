"""What others see while a table is brought in step, and what a death in the middle leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest

from mixpanel_fetch.errors import StorageError

BEFORE = {"same": 1, "edited": 1, "gone": 1, "twice": 1}
AFTER = ({"same": 1, "edited": 2, "new": 1, "twice": 1}, {"twice": 2})
TABLES = ("users", "users_history", "mixpanel_fetch.sync")

# Dies by its own hand before or after the statement of the publish that holds WHEN.
PROGRAM = """
    import os, signal, sys
    from mixpanel_fetch_postgres.engine import PostgresEngine

    location, when, moment = sys.argv[1:]
    engine = PostgresEngine(location)
    load = engine.begin("users", "merge", engine.interrupted("users"))
    assert load.landed_pages() == {0, 1}
    load.count_gone()
    connection = engine._db.connection
    execute = connection.execute

    def doomed(statement, *arguments):
        hit = when in statement.decode()
        if hit and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = execute(statement, *arguments)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    connection.execute = doomed
    load.commit_in_step(complete=True)
"""
# Waits in the middle of a publish until whoever has the lock 42 lets go of it.
PAUSE = (
    "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$",
    "CREATE TRIGGER pause BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION pause()",
)
WAITS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 42"


def people(kit, rows):
    return kit.Batch.from_rows(
        {"distinct_id": one, "properties": {"n": n}, "last_seen": kit.SEEN}
        for one, n in rows.items()
    )


def begin(kit, engine, number, pages):
    run = kit.sync_info(number, history=True, total_pages=len(pages))
    load = engine.begin("users", "merge", engine.interrupted("users") or run)
    for index in {*range(len(pages))} - load.landed_pages():
        load.write(index, people(kit, pages[index]))
    return load


def publish(kit, engine, number, pages):
    report = begin(kit, engine, number, pages).commit_in_step(complete=True)
    engine.close()
    return report


def everything(place):
    return {table: place.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES}


@pytest.fixture
def suspended(kit, place, engine):
    """A database that holds ``BEFORE``, and a run with ``AFTER`` that is not published yet."""
    publish(kit, engine, 0, [BEFORE])
    begin(kit, engine, 1, AFTER).suspend()
    engine.close()
    return place


@contextmanager
def paused(kit, place, load):
    """Publish in another thread, stopped in the middle; yield the list of what that came to."""
    place.make(*PAUSE)
    outcome = []

    def publishing():
        try:
            outcome.append(load.commit_in_step(complete=True))
        except StorageError as error:
            outcome.append(error)

    thread = threading.Thread(target=publishing)
    with place.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        thread.start()
        kit.eventually(lambda: place.query(WAITS))
        yield outcome
    thread.join(timeout=60)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("when", "moment"),
    [
        ("BEGIN", "after"),
        ("LOCK TABLE", "after"),
        ("SET valid_to", "after"),
        ('INSERT INTO "public"."users_history"', "after"),
        ('UPDATE "public"."users" ', "after"),
        ('INSERT INTO "public"."users" ', "after"),
        ("SET deleted_at =", "after"),
        ("DROP TABLE", "after"),
        ("INSERT INTO mixpanel_fetch.sync", "after"),
        ("SET status", "after"),
        ("COMMIT", "before"),
        ("COMMIT", "after"),
    ],
)
def test_a_kill_leaves_all_or_nothing(kit, suspended, engine, when, moment):
    before = everything(suspended)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), suspended.location, when, moment],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ.copy(),
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    clients = "SELECT pid FROM pg_stat_activity WHERE application_name = 'mixpanel-fetch'"
    kit.eventually(lambda: not suspended.query(clients))
    if (when, moment) == ("COMMIT", "after"):
        assert engine.interrupted("users") is None
    else:
        assert everything(suspended) == before
        report = publish(kit, engine, 1, AFTER)
        assert kit.changes(report) == (1, 2, 1, 1)
        assert report.duplicate_rows == 1
    found = suspended.query("SELECT distinct_id, properties->'n', deleted_at FROM users ORDER BY 1")
    began = kit.sync_info(1).started_at
    assert found == [
        *[("edited", 2, None), ("gone", 1, began), ("new", 1, None)],
        *[("same", 1, None), ("twice", 2, None)],
    ]
    current = "SELECT distinct_id, properties->'n' FROM users_history WHERE is_current ORDER BY 1"
    assert suspended.query(current) == [("edited", 2), ("new", 1), ("same", 1), ("twice", 2)]
    assert suspended.query("SELECT count(*) FROM users_history") == [(7,)]
    assert engine.sync_state("users").full_at == began
    assert not suspended.staged()


def test_readers_see_the_old_rows_until_they_see_the_new_ones(kit, suspended, engine):
    load = engine.begin("users", "merge", engine.interrupted("users"))
    with suspended.connect() as reader, suspended.connect() as older:
        reader.execute("SET statement_timeout = '20s'")  # nobody has to wait
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        states = {}
        for table in TABLES:
            rows = f"SELECT * FROM {table} ORDER BY 1, 2, 3"
            states[rows] = older.execute(rows).fetchall()
        with paused(kit, suspended, load) as outcome:
            for rows, old in states.items():
                assert reader.execute(rows).fetchall() == old
            assert outcome == []
        assert kit.changes(outcome[0]) == (1, 2, 1, 1)
        for rows, old in states.items():
            assert older.execute(rows).fetchall() == old
            assert reader.execute(rows).fetchall() != old
        older.execute("COMMIT")
    engine.close()


def test_a_connection_that_is_lost_in_the_middle_of_a_publish(kit, suspended, engine):
    before = everything(suspended)
    load = engine.begin("users", "merge", engine.interrupted("users"))
    with paused(kit, suspended, load) as outcome:
        suspended.query(f"SELECT pg_terminate_backend(pid) FROM ({WAITS}) AS waiting")
        kit.eventually(lambda: outcome)
    assert "the connection to the server was lost" in str(outcome[0])
    load.suspend()
    engine.close()
    assert everything(suspended) == before
    suspended.make("DROP TRIGGER pause ON users")
    assert kit.changes(publish(kit, engine, 1, AFTER)) == (1, 2, 1, 1)


def test_an_incremental_sync_after_a_full_one_ends_and_begins_versions(kit, suspended, engine):
    publish(kit, engine, 1, AFTER)
    since = kit.sync_info(1).started_at
    run = kit.sync_info(2, kind="incremental", since=since, history=True)
    load = engine.begin("users", "merge", run)
    load.write(0, people(kit, {"edited": 3, "gone": 1, "same": 1}))
    report = load.commit_in_step(complete=True)
    engine.close()
    assert kit.changes(report) == (0, 2, 1, 0)
    versions = suspended.query(
        "SELECT distinct_id, properties->'n', valid_from, valid_to FROM users_history"
        " WHERE distinct_id IN ('edited', 'gone', 'same') ORDER BY distinct_id, valid_from"
    )
    days = [kit.sync_info(number).started_at for number in range(3)]
    assert versions == [
        ("edited", 1, days[0], days[1]),
        ("edited", 2, days[1], days[2]),
        ("edited", 3, days[2], None),
        ("gone", 1, days[0], days[1]),
        ("gone", 1, days[2], None),
        ("same", 1, days[0], None),
    ]
    assert engine.sync_state("users").full_at == days[1]
