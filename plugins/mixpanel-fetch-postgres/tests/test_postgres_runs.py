"""Whole runs: ``mp`` in processes of its own, the simulator, and kills at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from mixpanel_fetch.simulator import Fault, SimulatorProcess


@pytest.fixture
def simulator():
    with SimulatorProcess(profiles=40_000, latency=0.1) as simulator:
        yield simulator


@pytest.fixture
def mp(place):
    """Start ``mp`` beside this process."""

    def start(simulator, *arguments, **changes):
        environment = {
            **{"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"},
            **{"MP_API_BASE_URL": simulator.base_url, "MP_DESTINATION": place.uri},
            **changes,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "mixpanel_fetch.cli", *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


FETCH = ("fetch", "profiles", "users", "--parallel", "--format", "json")


def count(place, table="users"):
    ((rows, ids),) = place.query(f"SELECT count(*), count(DISTINCT distinct_id) FROM {table}")
    assert rows == ids
    return rows


def landed_pages(place):
    ((exists,),) = place.query("SELECT to_regclass('mixpanel_fetch.pages') IS NOT NULL")
    return place.query("SELECT count(*) FROM mixpanel_fetch.pages")[0][0] if exists else 0


def test_a_fetch_by_its_name_and_what_is_remembered_of_it(place, mp, simulator):
    out, err = (process := mp(simulator, *FETCH)).communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["total_rows"] == 40_000
    assert count(place) == 40_000
    runs, _ = mp(simulator, "runs").communicate(timeout=60)
    assert [(row["table"], row["status"]) for row in json.loads(runs)] == [("users", "complete")]
    again, err = (process := mp(simulator, *FETCH)).communicate(timeout=60)
    assert (process.returncode, json.loads(again)["error"]["type"]) == (3, "TableExistsError")
    for text in (out, err, runs, again):
        assert "pa55" not in text
        assert "Traceback" not in text


def test_the_password_may_come_from_the_environment(place, mp):
    bare = place.uri.replace(":pa55%20w0rd@", "@") + "?connect_timeout=5&schema=public"
    with SimulatorProcess(profiles=10) as simulator:
        for name in ("MP_PLUGIN_POSTGRESQL_PASSWORD", "PGPASSWORD"):
            given = {"MP_DESTINATION": bare, name: "pa55 w0rd"}
            process = mp(simulator, *FETCH, "--merge", **given)
            out, err = process.communicate(timeout=60)
            assert (process.returncode, json.loads(out)["total_rows"]) == (0, 10), err
            assert "pa55" not in out + err
    assert "pa55" not in str(place.query("SELECT * FROM mixpanel_fetch.runs"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_run_that_was_ended_goes_on_with_what_is_missing(place, mp, simulator, number, mode):
    flags = [] if mode == "create" else ["--replace"]
    if flags:
        place.make(
            "CREATE TABLE users"
            " (distinct_id text PRIMARY KEY, properties jsonb, last_seen timestamptz)",
            "INSERT INTO users VALUES ('old', '{}', NULL)",
        )
    process = mp(simulator, *FETCH, *flags)
    deadline = time.monotonic() + 30
    while len(simulator.stats.requests) < 22 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 143), err
    if flags:
        assert place.query("SELECT distinct_id FROM users") == [("old",)]
    time.sleep(0.3)  # a commit may be under way in the server
    landed = landed_pages(place)
    assert 0 < landed <= 27
    assert len(simulator.stats.requests) - landed <= 11
    simulator.reset_stats()
    out, err = (process := mp(simulator, *FETCH, "--resume")).communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["total_rows"] == 40_000
    assert len(simulator.stats.requests) == 40 - landed
    assert count(place) == 40_000
    assert not place.staged()


def test_a_connection_that_is_lost_in_the_middle(place, mp, simulator):
    process = mp(simulator, *FETCH)
    deadline = time.monotonic() + 30
    while landed_pages(place) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    place.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'mixpanel-fetch'"
    )
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the connection to the server was lost" in json.loads(out)["error"]["message"]
    assert "Traceback" not in err
    assert "pa55" not in out + err
    landed = landed_pages(place)
    simulator.reset_stats()
    out, err = (process := mp(simulator, *FETCH, "--resume")).communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(simulator.stats.requests) == 40 - landed
    assert count(place) == 40_000


def test_failed_pages_are_published_without_and_come_later(place, mp):
    with SimulatorProcess(profiles=1000, page_size=100) as simulator:
        simulator.set_faults([Fault(page, "404", times=None) for page in (3, 7)])
        out, _ = (process := mp(simulator, *FETCH)).communicate(timeout=60)
        assert (process.returncode, json.loads(out)["failed_page_indices"]) == (1, [3, 7])
        assert count(place) == 800
        simulator.set_faults([])
        out, err = (process := mp(simulator, *FETCH, "--resume")).communicate(timeout=60)
        assert (process.returncode, json.loads(out)["total_rows"]) == (0, 1000), err
    assert count(place) == 1000


def test_two_at_once_and_the_second_says_so_before_it_asks(place, mp):
    with SimulatorProcess(profiles=40_000, latency=2) as simulator:
        first = mp(simulator, *FETCH)
        deadline = time.monotonic() + 30
        while landed_pages(place) < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        out, err = (second := mp(simulator, *FETCH, "--merge")).communicate(timeout=60)
        assert second.returncode == 3, err
        assert "another run is writing to table public.users" in out
        assert {request.session_id for request in simulator.stats.requests[1:]} != {None}
        assert sum(request.page == 0 for request in simulator.stats.requests) == 1
        first.terminate()
        first.communicate(timeout=60)


PATCHED = """
    from gevent import monkey
    monkey.patch_all()
    import os
    from mixpanel_fetch import Workspace
    workspace = Workspace(destination=os.environ["MP_DESTINATION"])
    result = workspace.fetch_profiles("users", parallel=True, progress=False)
    print(result.total_rows)
"""


def test_it_works_in_a_process_that_gevent_has_patched(place, simulator):
    environment = {
        **{"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"},
        **{"MP_API_BASE_URL": simulator.base_url, "MP_DESTINATION": place.uri},
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PATCHED)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "40000\n"), done.stderr


# Dies by its own hand right before or after the statement that holds WHEN, the NTH time.
DOOMED = """
    import os, signal, sys
    from datetime import datetime, timezone
    from mixpanel_fetch.batch import Batch
    from mixpanel_fetch.model import ProfileQuery, RunInfo
    from mixpanel_fetch_postgres.database import Database
    from mixpanel_fetch_postgres.engine import PostgresEngine

    location, mode, when, nth, moment = sys.argv[1:]
    left = int(nth)

    def doomed(method):
        def call(self, statement, *arguments):
            global left
            hit = when in statement
            left -= hit
            if hit and left == 0 and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(self, statement, *arguments)
            if hit and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call

    for name in ("execute", "count", "copy"):
        setattr(Database, name, doomed(getattr(Database, name)))
    engine = PostgresEngine(location)
    run = RunInfo("r", "users", mode, ProfileQuery(), "s", None, 50, 6, (), {},
                  datetime.now(timezone.utc), "d")
    load = engine.begin("users", mode, run)
    for page in range(6):
        ids = [f"{page}-{row}" for row in range(50)] + ["same"]
        rows = [{"distinct_id": i, "properties": {"v": page}} for i in ids]
        load.write(page, Batch.from_rows(rows))
        print(page, flush=True)
    load.commit()
"""
LANDING = [
    ("create", "ADD PRIMARY KEY", 99, "before"),  # never: the run must end well by itself
    ("create", "COMMIT", 1, "after"),
    ("create", "COPY", 3, "after"),
    ("create", "INSERT INTO mixpanel_fetch.pages", 3, "after"),
    ("create", "COMMIT", 4, "before"),
    ("create", "COMMIT", 4, "after"),
]
PUBLISHING = [
    (mode, when, 1, moment)
    for moment in ("before", "after")
    for mode, when in (
        ("create", "DROP COLUMN"),
        ("create", "WITH placed"),
        ("create", "RENAME TO"),
        ("create", "SET status"),
        ("merge", "LOCK TABLE"),
        ("merge", 'UPDATE "public"'),
        ("merge", 'INSERT INTO "public"'),
        ("replace", 'DELETE FROM "public"'),
        ("replace", 'INSERT INTO "public"'),
        ("replace", "SET status"),
    )
]


@pytest.mark.parametrize(("mode", "when", "nth", "moment"), LANDING + PUBLISHING)
def test_a_kill_at_any_moment(kit, place, engine, mode, when, nth, moment):  # noqa: PLR0917
    if mode != "create":
        kit.fetch(engine, {0: kit.batch("old", "same")})
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DOOMED),
         place.location, mode, when, str(nth), moment],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = {int(page) for page in done.stdout.split()}
    if nth == 99:
        assert (done.returncode, place.values()["same"]) == (0, "5")
        return
    assert done.returncode == -signal.SIGKILL, done.stderr
    if mode == "create":
        assert place.query("SELECT to_regclass('users')") == [(None,)]
    else:
        assert place.values() == {"old": "1", "same": "1"}
    engine.check("users", mode)  # waits until the server has seen that the process is gone
    load = engine.begin("users", mode, engine.interrupted("users"))
    landed = load.landed_pages()
    # What was said to have landed has; a page that had just been committed may have, too.
    assert said <= landed
    assert len(landed) <= len(said) + 1
    for page in set(range(6)) - landed:
        load.write(page, kit.batch(*(f"{page}-{row}" for row in range(50)), "same", value=page))
    report = load.commit()
    rows = place.values()
    assert (len(rows), rows["same"]) == (302 if mode == "merge" else 301, "5")
    assert (report.total_rows, report.duplicate_rows) == (301, 5)
    assert not place.staged()
