"""``mp fetch many``: a line for each job, a summary, and an end whenever it is wanted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mixpanel_fetch.simulator import Fault

PATIENCE = 120


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def outcomes(done):
    document = json.loads(done.out)
    assert document["exit_code"] == done.code
    return {one["job"]: one for one in document["jobs"]}


@pytest.mark.no_cover  # long; shorter tests cover the same lines
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_twenty_projects_proceed_and_one_with_a_wrong_secret_fails_alone(projects, mp, executor):
    made = projects(20, wrong={7}, profiles=100, page_size=20)
    made.write_jobs()
    done = mp("fetch", "many", "--executor", executor, "--jobs", 3, "--format", "text")
    assert done.code == 2
    *lines, summary = done.out.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == sorted(made.names)
    others = [line.partition(": ")[2] for line in lines if not line.startswith("p7: ")]
    assert all(words.startswith("done: 100 rows; ") for words in others)
    (failed,) = (line for line in lines if line.startswith("p7: "))
    assert failed.startswith("p7: failed: Mixpanel refused the credentials")
    assert summary.startswith("20 jobs: 19 done, 1 failed; 1,900 rows; ")
    assert sorted(done.err.splitlines()) == sorted(
        f"mp: job {name}: started" for name in made.names
    )
    assert max(simulator.stats.max_in_flight for simulator in made.simulators) <= 5


def test_the_document_is_that_of_sync_and_stderr_tells_of_each_job(projects, mp):
    projects(2).write_jobs()
    done = mp("fetch", "many")
    found = outcomes(done)
    assert {name: one["status"] for name, one in found.items()} == {"p0": "done", "p1": "done"}
    assert found["p0"]["result"]["total_rows"] == 300
    assert "mp: job p1: started\n" in done.err
    assert "mp: job p1: done: 300 rows; " in done.err
    again = mp("fetch", "many", "--only", "p1", "-q")
    assert (list(outcomes(again)), again.err) == (["p1"], "")


def test_the_log_may_be_json(projects, mp):
    made = projects(2, wrong={1})
    made.simulators[0].set_faults([Fault(1, "500", times=1)])
    made.write_jobs()
    done = mp("fetch", "many", "--log-format", "json", "--format", "text", "-v")
    entries = [json.loads(line) for line in done.err.splitlines()]
    events = {(one["event"], one["level"], one.get("job"), one.get("status")) for one in entries}
    assert {
        ("job_started", "info", "p0", None),
        ("job_ended", "info", "p0", "done"),
        ("job_ended", "warning", "p1", "failed"),
    } <= events
    (retry,) = (one["message"] for one in entries if "trying again" in one.get("message", ""))
    assert retry.startswith("job p0: page 1: ")


def test_only_what_is_due_runs_if_that_is_wanted(projects, mp):
    projects(1).write_jobs('every = "1d"\n')
    assert outcomes(mp("fetch", "many", "--due"))["p0"]["status"] == "done"
    assert outcomes(mp("fetch", "many", "--due"))["p0"]["status"] == "not due"
    text = mp("fetch", "many", "--due", "--format", "text").out.splitlines()
    assert text[0].startswith("p0: not due: last complete ")
    assert text[1].startswith("1 job: 1 not due; 0 rows; ")
    assert outcomes(mp("fetch", "many"))["p0"]["status"] == "done"
    assert outcomes(mp("sync"))["p0"]["status"] == "not due"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--executor", "moon"], "no executor is called 'moon'; there are "),
        (["-o", "scheduler=tcp://127.0.0.1:1"], "no plugin of this run has an option"),
        (["-o", "scheduler"], "write -o KEY=VALUE"),
        (["--jobs", "0"], "0 is not in the range"),
        (["--only", "p9"], "no job is called 'p9'; there are p0"),
        (["elsewhere.toml"], "there is no jobs file elsewhere.toml"),
    ],
)
def test_what_cannot_be_is_one_line_and_runs_nothing(projects, mp, arguments, words):
    made = projects(1)
    made.write_jobs()
    done = mp("fetch", "many", *arguments)
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert words in done.err
    assert made.simulators[0].stats.received == 0


@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_suspends_what_runs_and_every_job_is_told_of(projects, executor, number, code):
    """As in a terminal, and as service managers do it, every process gets the signal."""
    made = projects(3, page_latency={1: 600.0, 2: 600.0})
    made.write_jobs()
    command = [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "many"]
    running = subprocess.Popen(
        [*command, "--executor", executor, "--jobs", "2", "--format", "json", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with running:
        patience = time.monotonic() + PATIENCE
        while not all(simulator.stats.received > 1 for simulator in made.simulators[:2]):
            assert time.monotonic() < patience
            time.sleep(0.05)
        os.killpg(running.pid, number)
        out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (code, "")
    found = {one["job"]: one for one in json.loads(out)["jobs"]}
    statuses = {name: one["status"] for name, one in found.items()}
    assert statuses == {"p0": "interrupted", "p1": "interrupted", "p2": "not run"}
    assert found["p2"]["exit_code"] == 130


def test_a_run_that_was_interrupted_goes_on_the_next_time(projects, mp):
    made = projects(1)
    made.simulators[0].set_faults([Fault(3, "401", times=1)])
    made.write_jobs()
    assert outcomes(mp("fetch", "many"))["p0"]["status"] == "failed"
    made.simulators[0].reset_stats()
    assert outcomes(mp("fetch", "many"))["p0"]["result"]["total_rows"] == 300
    assert made.simulators[0].stats.received < 6
