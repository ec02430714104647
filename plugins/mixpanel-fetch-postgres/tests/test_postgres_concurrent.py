"""Runs into different tables of one database, at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from mixpanel_fetch_postgres.engine import PostgresEngine

AT_ONCE = 8


@pytest.fixture
def at_once():
    """Call a function with 0, 1, ... in as many threads, which begin together."""

    def call(function):
        together = threading.Barrier(AT_ONCE, timeout=60)

        def started(number):
            together.wait()
            return function(number)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [*pool.map(started, range(AT_ONCE))]

    return call


def land(kit, place, number, end="commit"):
    """One run into a table of its own, from check to close."""
    table, engine = f"t{number}", PostgresEngine(place.location)
    run = kit.sync_info(number, run_id=f"run-of-{table}", table=table, history=True, total_pages=3)
    try:
        assert engine.interrupted(table) is None
        assert engine.sync_state(table) is None
        engine.check(table, "merge")
        load = engine.begin(table, "merge", run)
        for page in range(3):
            load.write(page, kit.batch(f"{page}", "same", value=number))
        assert load.count_gone() == (0, 0)
        if end == "abort":
            return load.abort()
        return load.commit_in_step(complete=True)
    finally:
        engine.close()


def test_the_first_runs_of_a_database_begin_and_land_together(kit, place, at_once):
    reports = at_once(lambda number: land(kit, place, number))
    assert {report.total_rows for report in reports} == {4}
    for number in range(AT_ONCE):
        assert {*place.values(f"t{number}").values()} == {str(number)}
        assert place.query(f"SELECT count(*) FROM t{number}_history") == [(4,)]
    runs = PostgresEngine(place.location).runs()
    assert {run.status for run in runs} == {"complete"}
    assert len(runs) == AT_ONCE
    assert place.query("SELECT count(*) FROM mixpanel_fetch.sync") == [(AT_ONCE,)]
    assert not place.staged()


@pytest.mark.parametrize("attempt", range(3))
def test_a_run_that_takes_back_what_it_made_takes_nothing_of_another(kit, place, at_once, attempt):
    ends = ["abort" if (number + attempt) % 2 else "commit" for number in range(AT_ONCE)]
    at_once(lambda number: land(kit, place, number, ends[number]))
    for number, end in enumerate(ends):
        found = place.query("SELECT to_regclass(%s) IS NOT NULL", f"t{number}")
        assert found == [(end == "commit",)]
    statuses = {one.info.table: one.status for one in PostgresEngine(place.location).runs()}
    landed = {table for table, status in statuses.items() if status == "complete"}
    assert landed == {f"t{number}" for number, end in enumerate(ends) if end == "commit"}
    assert not place.staged()


def test_runs_that_are_all_taken_back_leave_a_database_that_works(kit, place, at_once):
    at_once(lambda number: land(kit, place, number, "abort"))
    assert land(kit, place, 0).total_rows == 4


def test_a_run_that_begins_waits_for_no_other_table(kit, place, engine):
    load = engine.begin("users", "create", kit.run_info())
    load.write(0, kit.batch("a"))
    load.suspend()
    engine.close()
    with place.connect() as other, ThreadPoolExecutor(1) as pool:
        # So that whoever counts what was staged takes long.
        other.execute("BEGIN")
        other.execute('LOCK TABLE "_mixpanel_fetch_staging_run-1" IN ACCESS EXCLUSIVE MODE')
        resuming = pool.submit(engine.begin, "users", "create", kit.run_info())
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        kit.eventually(lambda: place.query(waits))
        assert land(kit, place, 1).total_rows == 4
        assert not resuming.done()
        other.execute("ROLLBACK")
        assert resuming.result(timeout=60).landed_pages() == {0}


def test_one_table_still_takes_one_run(kit, place, engine, refused, monkeypatch):
    monkeypatch.setattr("mixpanel_fetch_postgres.database.LOCK_WAIT", 0.1)
    engine.begin("users", "create", kit.run_info())
    other = PostgresEngine(place.location)
    assert "another run is writing" in refused(other.check, "users", "create")
    other.close()
