"""The executor ``processes``: a process for each job, and none that dies takes another along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from pathlib import Path

import pytest

from mixpanel_fetch import fetch_many
from mixpanel_fetch.defaults.processes import Processes

PATIENCE = 120
SINK = """
import logging, os, signal
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad, SinkSpec, hookimpl

class Load(BaseLoad):
    def write(self, page_index, batch):
        return len(batch)

class Engine(BaseEngine):
    def begin(self, table, mode, run):
        if table == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        logging.getLogger("mixpanel_fetch").warning("table %s begins in %d", table, os.getpid())
        logging.getLogger("mixpanel_fetch").info("nobody wants to know")
        return Load()

@hookimpl
def register_sinks():
    yield SinkSpec("odd", lambda location: Engine())
"""


@pytest.fixture
def odd(tmp_path):
    """Where a job lands in the sink above."""
    plugin = tmp_path / "odd.py"
    plugin.write_text(SINK)
    return lambda place: {"destination": f"odd:///{place}", "plugins": (plugin,)}


def until(condition):
    patience = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.02)


def is_running(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_calls_run_elsewhere_and_come_back():
    with Processes(2) as executor:
        assert executor.submit(os.getpid).result(PATIENCE) != os.getpid()
        assert executor.submit(int, "7f", base=16).result(PATIENCE) == 127
        with pytest.raises(ValueError, match="invalid literal"):
            executor.submit(int, "x").result(PATIENCE)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(os.getpid)


def test_a_process_that_dies_is_replaced():
    with Processes(1) as executor:
        first = executor.submit(os.getpid).result(PATIENCE)
        assert executor.submit(os.getpid).result(PATIENCE) == first
        with pytest.raises(BrokenExecutor):
            executor.submit(os._exit, 3).result(PATIENCE)
        assert executor.submit(os.getpid).result(PATIENCE) != first


def test_no_process_is_left_behind():
    executor = Processes(2)
    one = executor.submit(os.getpid).result(PATIENCE)
    other = executor.submit(os.getppid)
    executor.shutdown(wait=False, cancel_futures=True)
    assert other.cancelled() or other.result(PATIENCE) == os.getpid()
    until(lambda: not is_running(one))
    executor.shutdown()


MEET = """
import os, pathlib, time
folder = pathlib.Path({folder!r})
(folder / str(os.getpid())).touch()
while len(list(folder.iterdir())) < 2:
    time.sleep(0.01)
"""
MARK = "import os, pathlib; pathlib.Path({folder!r}, str(os.getpid())).touch()"


def test_what_stops_is_called_in_every_process_that_works(tmp_path):
    met, asked = tmp_path / "met", tmp_path / "asked"
    met.mkdir()
    asked.mkdir()
    with Processes(2) as executor:
        began = [executor.submit(exec, MEET.format(folder=str(met))) for _ in range(2)]
        for call in began:
            call.result(PATIENCE)
        executor.stop_running(partial(exec, MARK.format(folder=str(asked))))
        both = {path.name for path in met.iterdir()}
        until(lambda: {path.name for path in asked.iterdir()} == both)
        executor.submit(os.getpid).result(PATIENCE)


def test_processes_end_with_the_one_that_began_them(tmp_path):
    script = tmp_path / "host.py"
    script.write_text(
        "import os, time\n"
        "from mixpanel_fetch.defaults.processes import Processes\n"
        "if __name__ == '__main__':\n"
        "    executor = Processes(1)\n"
        "    print(executor.submit(os.getpid).result(), flush=True)\n"
        "    executor.submit(time.sleep, 600).result()\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as host:
        child = int(host.stdout.readline())
        host.kill()
    until(lambda: not is_running(child))


def test_a_terminal_s_interrupt_is_the_parent_s_and_sigterm_ends_what_nobody_stops():
    with Processes(1) as executor:
        pid = executor.submit(os.getpid).result(PATIENCE)
        sleeping = executor.submit(time.sleep, 600)
        os.kill(pid, signal.SIGINT)
        with pytest.raises(NotYet):
            sleeping.result(0.3)
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(BrokenExecutor):
            sleeping.result(PATIENCE)


def test_a_job_whose_process_dies_or_that_cannot_travel_fails_alone(projects, odd, caplog):
    made = projects(4)
    jobs = [
        made.job(0, table="deadly", mode="create", connection=odd("a")),
        made.job(1, fetch={"transforms": [lambda batch: batch]}),
        made.job(2),
        made.job(3, table="talking", mode="create", connection=odd("b")),
    ]
    with Processes(2) as executor:
        found = {outcome.job: outcome for outcome in fetch_many(jobs, executor, max_jobs=2)}
    assert {name: found[name].status for name in found} == {
        "p0": "failed",
        "p1": "failed",
        "p2": "done",
        "p3": "done",
    }
    assert found["p0"].words == "its worker ended abruptly; was it killed, or out of memory?"
    assert "ickle" in found["p1"].words
    (told,) = [one for one in caplog.records if "begins" in one.getMessage()]
    assert told.threadName == "job p3"
    assert not told.getMessage().endswith(f" {os.getpid()}")
    assert "nobody wants" not in caplog.text


def test_cancel_reaches_jobs_in_other_processes(projects):
    made = projects(3, page_latency={1: 600.0, 2: 600.0})
    cancel = threading.Event()

    def watch():
        until(lambda: all(one.stats.received > 1 for one in made.simulators[:2]))
        cancel.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Processes(2) as executor:
        found = list(fetch_many(made.jobs(), executor, max_jobs=2, cancel=cancel))
    watcher.join()
    statuses = {outcome.job: outcome.status for outcome in found}
    assert statuses == {"p0": "interrupted", "p1": "interrupted", "p2": "not run"}


def test_a_job_whose_process_has_not_begun_is_not_run(projects):
    made = projects(1)
    cancel = threading.Event()
    with Processes(1) as executor:
        (outcome,) = fetch_many(
            made.jobs(), executor, cancel=cancel, on_start=lambda job: cancel.set()
        )
    assert (outcome.status, outcome.exit_code) == ("not run", 130)
    assert made.simulators[0].stats.received == 0
