"""``--log-format json``: one object a line on stderr, whatever happens; and what -v and -vv add."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from mixpanel_fetch.simulator import Fault


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logged(mp):
    """Run `mp fetch profiles` with a log in JSON; return the command's end and the entries."""

    def run(*arguments):
        done = mp("fetch", "profiles", *arguments, "--log-format", "json")
        return done, [json.loads(line) for line in done.err.splitlines()]

    return run


def by_event(entries):
    found = {}
    for entry in entries:
        found.setdefault(entry["event"], []).append(entry)
    return found


def test_each_event_of_a_run_is_an_object_of_its_own(engage_simulator, environment_of, logged):
    faults = [Fault(3, "503"), Fault(5, "404", times=None)]
    environment_of(engage_simulator(profiles=700, page_size=100, faults=faults))
    done, entries = logged("users", "-p")
    found = by_event(entries)
    assert done.code == 1
    assert list(found) >= ["run_opened", "page", "wait", "publishing", "run_ended"]
    run_id = json.loads(done.out)["run_id"]
    assert {entry["run_id"] for entry in entries if entry["event"] != "wait"} == {run_id}
    (opened,) = found["run_opened"]
    assert (opened["table"], opened["profiles"], opened["total_pages"]) == ("users", 700, 7)
    assert opened["destination"] == "duckdb:///mixpanel.duckdb"
    pages = {entry["page"]: entry for entry in found["page"]}
    assert set(pages) == set(range(7))
    assert (pages[0]["status"], pages[0]["rows"], pages[0]["level"]) == ("landed", 100, "info")
    assert (pages[5]["status"], pages[5]["rows"], pages[5]["level"]) == ("failed", 0, "warning")
    assert "404" in pages[5]["reason"]
    assert all(isinstance(entry["seconds"], float) for entry in found["page"])
    (wait,) = found["wait"]
    assert (wait["page"], wait["attempt"], wait["limit"]) == (3, 1, None)
    assert "503" in wait["reason"]
    (ended,) = found["run_ended"]
    assert (ended["status"], ended["rows"], ended["failed_pages"]) == ("incomplete", 600, 1)


def test_times_are_utc_with_milliseconds_and_in_order(engage_simulator, environment_of, logged):
    environment_of(engage_simulator(profiles=300, page_size=100))
    _, entries = logged()
    times = [entry["time"] for entry in entries]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    assert all(list(entry)[:3] == ["time", "level", "event"] for entry in entries)


def test_a_warning_is_an_entry_with_its_words(engage_simulator, environment_of, logged):
    environment_of(engage_simulator(profiles=700, page_size=10))
    _, entries = logged("-p")
    (warning,) = by_event(entries)["log"]
    assert warning["level"] == "warning"
    assert warning["message"].startswith("70 pages: Mixpanel allows 60")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch", "profiles", "--no-such-option", "--log-format", "json"],
        ["fetch", "profiles", "--log-format=json", "--workers", "none"],
        ["fetch", "nosuch", "--log-format", "json"],
        ["fetch", "profiles", "--where", "", "--log-format", "json"],
        ["check", "--to", "nosuch://x", "--log-format", "json"],
    ],
)
def test_errors_of_arguments_are_objects_too(engage_simulator, environment_of, mp, arguments):
    environment_of(engage_simulator())
    done = mp(*arguments)
    (entry,) = map(json.loads, done.err.splitlines())
    assert done.code == 3
    assert (entry["level"], entry["event"]) == ("error", "error")
    assert entry["type"] in {"UsageError", "ConfigError", "PluginError"}
    assert entry["message"] == json.loads(done.out)["error"]["message"]


def test_an_error_after_the_start_carries_the_run(
    engage_simulator, environment_of, logged, tmp_path
):
    (tmp_path / "breaks.py").write_text(
        "from mixpanel_fetch import BaseEngine, BaseLoad, SinkSpec, hookimpl\n"
        "class Breaks(BaseEngine, BaseLoad):\n"
        "    def __init__(self, location): pass\n"
        "    def begin(self, table, mode, run): return self\n"
        "    def write(self, page_index, batch): raise OSError('no space left')\n"
        "@hookimpl\n"
        "def register_sinks():\n"
        "    return [SinkSpec('breaks', Breaks)]\n"
    )
    environment_of(engage_simulator())
    done, entries = logged("--plugin", "breaks.py", "--to", "breaks://x")
    found = by_event(entries)
    assert done.code == 1
    assert "no space left" in found["error"][0]["message"]
    assert found["error"][0]["run_id"] == found["run_opened"][0]["run_id"]


def test_a_traceback_is_one_line_as_well(engage_simulator, environment_of, logged, monkeypatch):
    environment_of(engage_simulator())
    monkeypatch.setattr("mixpanel_fetch.cli.fetching.show_result", lambda *_, **__: 1 / 0)
    _, entries = logged("-vv")
    assert "Traceback" in entries[-1]["message"]


def test_quiet_leaves_errors_only(engage_simulator, environment_of, logged):
    environment_of(engage_simulator(profiles=700, page_size=10))
    assert logged("users", "-p", "-q")[1] == []
    assert [entry["event"] for entry in logged("users", "-q")[1]] == ["error"]


def test_rows_on_stdout_leave_the_result_to_the_log(engage_simulator, environment_of, logged):
    environment_of(engage_simulator(profiles=300))
    for form in ("json", "text"):
        done, entries = logged("--to", "jsonl://-", "--format", form)
        assert len(done.out.splitlines()) == 300
        if form == "json":
            assert entries[-1]["event"] == "result"
            assert entries[-1]["result"]["total_rows"] == 300


def test_secrets_show_in_no_entry(engage_simulator, environment_of, logged, monkeypatch):
    environment_of(engage_simulator())
    monkeypatch.setenv("MP_SECRET", "hunter2-hunter2")
    done, entries = logged("-vv")
    assert done.code == 2
    assert entries
    assert "hunter2" not in done.err


def test_a_terminal_gets_objects_and_no_bar(environment_of, engage_simulator):
    import os
    import pty

    environment_of(engage_simulator(profiles=500, page_size=100, latency=0.2))
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "--log-format", "json"],
        stderr=follower,
        capture_output=False,
        stdout=subprocess.PIPE,
        check=False,
    )
    os.close(follower)
    seen = os.read(leader, 65_536).decode()
    os.close(leader)
    assert done.returncode == 0
    assert json.loads(seen.splitlines()[0])["event"] == "run_opened"


def test_vv_tells_of_each_page_and_v_does_not(engage_simulator, environment_of, mp):
    environment_of(
        engage_simulator(profiles=300, page_size=100, faults=[Fault(2, "404", times=None)])
    )
    err = mp("fetch", "profiles", "users", "-vv").err
    assert "mp: page 1 landed, 100 rows" in err
    assert re.search(r"mp: page 2 failed: .*404", err)
    assert "landed" not in mp("fetch", "profiles", "more", "-v").err
