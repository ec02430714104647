"""Going on where a run stopped: what is asked for again, and what is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.simulator import Fault, SimulatorProcess


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.duckdb"


@pytest.fixture
def fetch(workspace_of, path):
    """Fetch from a simulator into table ``users``, five pages at once."""

    def call(simulator, **given):
        workspace = workspace_of(simulator, f"duckdb:///{path}", max_retries=0)
        return workspace.fetch_profiles("users", **{"parallel": True, **given})

    return call


def pages_asked(simulator):
    return sorted(request.page for request in simulator.stats.requests)


def sessions(simulator):
    return {request.session_id for request in simulator.stats.requests} - {None}


def count(path, table="users"):
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(
            f"SELECT count(*), count(DISTINCT distinct_id) FROM {table}"
        ).fetchone()
    assert found[0] == found[1]
    return found[0]


def failing(*pages):
    return [Fault(page, "404", times=None) for page in pages]


@pytest.mark.parametrize("mode", ["create", "replace", "merge"])
def test_only_the_failed_pages_are_asked_for_again(engage_simulator, fetch, path, mode):
    simulator = engage_simulator(profiles=1000, page_size=100, faults=failing(3, 7))
    first = fetch(simulator, mode=mode)
    assert (first.exit_code, first.failed_page_indices) == (1, (3, 7))
    assert first.published == (mode == "create")
    session = sessions(simulator)
    simulator.set_faults([])
    simulator.reset_stats()
    again = fetch(simulator, resume=True)
    assert pages_asked(simulator) == [3, 7]
    assert sessions(simulator) == session
    assert (again.exit_code, again.total_rows, again.run_id) == (0, 1000, first.run_id)
    assert (again.missing_rows, again.rows_received, again.mode) == (0, 200, mode)
    assert count(path) == 1000


def test_a_page_that_fails_again_can_be_resumed_again(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=500, page_size=100, faults=failing(2, 4))
    fetch(simulator)
    simulator.set_faults(failing(4))
    second = fetch(simulator, resume=True)
    assert (second.exit_code, second.failed_page_indices, second.total_rows) == (1, (4,), 400)
    simulator.set_faults([])
    assert fetch(simulator, resume=True).exit_code == 0
    assert count(path) == 500


def test_the_page_size_of_the_run_is_repeated(engage_simulator, fetch):
    simulator = engage_simulator(profiles=1000, page_size=100, faults=failing(2))
    assert fetch(simulator, page_size=250).failed_page_indices == (2,)
    simulator.set_faults([])
    simulator.reset_stats()
    result = fetch(simulator, resume=True)
    assert [request.form["page_size"] for request in simulator.stats.requests] == ["250"]
    assert (result.page_size, result.total_rows) == (250, 1000)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"where": 'properties["plan"] == "pro"'}, "differs in the query;"),
        ({"transforms": ["drop:$email"]}, "differs in the transforms;"),
        (
            {"output_properties": ["plan"], "transforms": ["drop:x"]},
            "differs in the query and the transforms;",
        ),
        ({"mode": "replace"}, "was to create, not to replace"),
    ],
)
def test_another_run_is_not_gone_on_with(engage_simulator, fetch, given, words):
    simulator = engage_simulator(profiles=500, page_size=100, faults=failing(2))
    fetch(simulator)
    simulator.reset_stats()
    with pytest.raises(ConfigError, match=words) as caught:
        fetch(simulator, resume=True, **given)
    assert caught.value.exit_code == 3
    assert simulator.stats.requests == ()


def test_a_sink_that_cannot_resume_says_so_before_a_request(
    engage_simulator, workspace_of, tmp_path
):
    simulator = engage_simulator(profiles=10)
    workspace = workspace_of(simulator, f"jsonl:///{tmp_path}/r.jsonl")
    with pytest.raises(ConfigError, match="cannot resume a run; leave --resume out"):
        workspace.fetch_profiles("users", resume=True)
    assert simulator.stats.requests == ()


def test_a_run_that_is_complete_is_not_fetched_again(engage_simulator, fetch):
    simulator = engage_simulator(profiles=500, page_size=100)
    first = fetch(simulator)
    simulator.reset_stats()
    again = fetch(simulator, resume=True)
    assert (again.exit_code, again.run_id, again.total_rows) == (0, first.run_id, 500)
    assert (again.successful_pages, again.missing_rows) == (5, 0)
    assert "is complete; nothing was fetched" in again.warnings[0]
    assert simulator.stats.requests == ()


def test_without_a_run_to_resume_a_new_one_is_made_and_says_so(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=500, page_size=100)
    result = fetch(simulator, resume=True)
    assert (result.exit_code, count(path)) == (0, 500)
    assert "this is a new one" in result.warnings[0]
    other = fetch(simulator, resume=True, mode="replace", transforms=["drop:$email"])
    assert (other.exit_code, other.total_rows) == (0, 500)
    assert other.run_id != result.run_id


@pytest.mark.parametrize("mode", ["create", "append", "replace", "merge"])
def test_a_session_that_is_gone_is_started_over(engage_simulator, fetch, path, mode):
    simulator = engage_simulator(profiles=1000, page_size=100)
    if mode == "append":
        fetch(simulator)
    simulator.set_faults(failing(6))
    assert fetch(simulator, mode=mode).exit_code == 1
    simulator.set_faults([Fault(6, "expired_session")])
    simulator.reset_stats()
    result = fetch(simulator, resume=True)
    assert (result.exit_code, result.total_rows) == (0, 1000)
    assert any("starting over" in warning for warning in result.warnings)
    assert pages_asked(simulator) == sorted([6, *range(10)])
    assert count(path) == 1000


def test_a_session_that_expires_in_mid_run_is_started_over(engage_simulator, fetch, path):
    simulator = engage_simulator(
        profiles=2000, page_size=100, session_pages=8, session_expiry_repeats=1
    )
    result = fetch(simulator)
    assert (result.exit_code, result.total_rows) == (0, 2000)
    assert any("starting over" in warning for warning in result.warnings)
    assert count(path) == 2000


def test_sessions_that_expire_again_and_again_come_to_an_end(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=5000, page_size=100, session_pages=4)
    result = fetch(simulator)
    assert (result.exit_code, result.published) == (1, False)
    assert len(sessions(simulator)) == 3
    assert len(simulator.stats.requests) < 60


# The process itself


def started(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "users", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_ended_goes_on_with_what_is_missing(path, number):
    with SimulatorProcess(profiles=40_000, latency=0.1) as simulator:
        environment = {
            **{"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"},
            **{"MP_API_BASE_URL": simulator.base_url, "MP_DESTINATION": f"duckdb:///{path}"},
        }
        process = started(environment, "--parallel")
        deadline = time.monotonic() + 30
        while len(simulator.stats.requests) < 22 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 143)
        with duckdb.connect(str(path), read_only=True) as connection:
            landed = connection.execute("SELECT count(*) FROM mixpanel_fetch.pages").fetchone()[0]
        assert 0 < landed <= 27
        asked = len(simulator.stats.requests)
        assert asked - landed <= 11
        simulator.reset_stats()
        again = started(environment, "--parallel", "--resume", "--format", "json")
        out, err = again.communicate(timeout=60)
        assert again.returncode == 0, err
        assert json.loads(out)["total_rows"] == 40_000
        assert len(simulator.stats.requests) == 40 - landed
    assert count(path) == 40_000


# What a destination remembers


@pytest.fixture
def destination(monkeypatch, path):
    monkeypatch.setenv("MP_DESTINATION", f"duckdb:///{path}")


def test_mp_runs_lists_what_is_missing(engage_simulator, fetch, destination, mp, path):
    assert mp("runs", "--format", "text").out == "no runs yet\n"
    assert not path.exists()
    simulator = engage_simulator(profiles=500, page_size=100, faults=failing(1, 3))
    run_id = fetch(simulator).run_id
    (row,) = json.loads(mp("runs").out)
    assert (row["run_id"], row["table"], row["status"]) == (run_id, "users", "partial")
    assert (row["missing_pages"], row["landed_pages"], row["total_rows"]) == ([1, 3], 3, 300)
    text = mp("runs", "--format", "text").out
    assert f"{run_id}  users  partial  3 of 5 pages, missing 1, 3\n" in text
    simulator.set_faults([])
    fetch(simulator, resume=True)
    assert "users  complete  500 profiles" in mp("runs", "--format", "text").out


def test_mp_runs_discard_drops_what_has_landed(engage_simulator, fetch, destination, mp):
    simulator = engage_simulator(profiles=500, page_size=100, faults=failing(1))
    run_id = fetch(simulator, mode="replace").run_id
    done = mp("runs", "discard", run_id)
    assert (done.code, done.err) == (0, f"mp: run {run_id} is dropped\n")
    again = mp("runs", "discard", run_id)
    assert (again.code, len(again.err.splitlines())) == (3, 1)
    assert [row["status"] for row in json.loads(mp("runs").out)] == ["aborted"]


def test_mp_runs_needs_a_sink_that_remembers(mp, tmp_path):
    done = mp("runs", "--to", f"jsonl:///{tmp_path}/r.jsonl")
    assert done.code == 3
    assert "keeps no runs" in done.err
