"""A fetch changes nothing in the process that makes it, and works wherever it is called."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import threading

import pytest

from mixpanel_fetch.simulator import SimulatorProcess

SNAPSHOT = """
import logging, signal, socket, ssl, sys, threading, time

def snapshot():
    return {
        "socket": (socket.socket, socket.create_connection, socket.getaddrinfo),
        "ssl": (ssl.SSLContext, ssl.SSLSocket, ssl.create_default_context),
        "threading": (threading.Thread, threading.Lock, threading.RLock, threading.get_ident),
        "time": time.sleep,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "logging": (list(logging.root.handlers), logging.root.level, logging.lastResort),
        "log": [
            (list(logger.handlers), logger.level, logger.propagate)
            for logger in (logging.getLogger("mixpanel_fetch"),)
        ],
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout, sys.stderr),
        "switch": sys.getswitchinterval(),
    }
"""


def run_script(body, *arguments, timeout=60):
    """Run a script in a fresh interpreter; return what it printed. stderr must stay empty."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_importing_loads_no_heavy_library_and_prints_nothing():
    script = """
        import sys, json
        import mixpanel_fetch
        heavy = {"gevent", "requests", "duckdb", "click", "marshmallow", "pluggy", "msgspec"}
        print(json.dumps(sorted(heavy & set(sys.modules))))
    """
    assert json.loads(run_script(script)) == []


@pytest.mark.parametrize("where", ["main", "thread", "asyncio"])
def test_a_whole_parallel_fetch_leaves_the_process_as_it_was(where, tmp_path):
    script = (
        SNAPSHOT
        + """
before = snapshot()
import asyncio
from mixpanel_fetch import Workspace
import mixpanel_fetch.services  # the public names load when they are used

def fetch():
    workspace = Workspace(
        username="demo", secret="demo-secret", project_id=12345, api_base_url=sys.argv[1],
        destination="duckdb:///" + sys.argv[2],
    )
    return workspace.fetch_profiles("users", parallel=True)

if sys.argv[3] == "main":
    result = fetch()
elif sys.argv[3] == "thread":
    results = []
    thread = threading.Thread(target=lambda: results.append(fetch()))
    thread.start(); thread.join()
    result = results[0]
else:
    async def program():
        ticks = 0
        task = asyncio.create_task(asyncio.to_thread(fetch))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.01)
        assert ticks > 5, ticks  # the loop went on beside the fetch
        return await task
    result = asyncio.run(program())
after = snapshot()
for name in before:
    assert before[name] == after[name], (name, before[name], after[name])
assert threading.active_count() <= (2 if sys.argv[3] == "asyncio" else 1), threading.enumerate()
print(result.total_rows)
"""
    )
    with SimulatorProcess(profiles=2500, page_size=100, latency=0.02) as simulator:
        out = run_script(script, simulator.base_url, tmp_path / "x.duckdb", where)
    assert out.strip() == "2500"


def test_a_patched_host_with_a_sink_that_logs_locks_and_sleeps(tmp_path):
    script = """
        from gevent import monkey
        monkey.patch_all()
        import logging, sys, threading, time
        import gevent
        from mixpanel_fetch import FetcherService, MixpanelAPIClient

        logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
        lock, log = threading.RLock(), logging.getLogger("host")

        class Load:
            rows = 0
            def landed_pages(self): return frozenset()
            def write(self, page_index, batch):
                with lock:
                    log.debug("page %d", page_index)
                    time.sleep(0.001)
                    self.rows += len(batch)
                return len(batch)
            def commit(self): pass
            def abort(self): pass

        class Sink:
            capabilities = frozenset()
            def begin(self, table, mode, run): return Load()
            def close(self): pass

        def chatter():
            while True:
                with lock:
                    log.debug("the host goes on")
                gevent.sleep(0.005)

        other = gevent.spawn(chatter)
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=sys.argv[1]
        )
        for _ in range(2):
            result = FetcherService(client, Sink()).fetch_profiles("users", parallel=True)
        gevent.sleep(0)          # the host's own hub still works
        assert not other.dead
        other.kill()
        print("rows", result.total_rows, result.failed_pages)
    """
    with SimulatorProcess(profiles=3000, page_size=100, latency=0.15) as simulator:
        out = run_script(script, simulator.base_url)
        assert simulator.stats.max_in_flight == 5
    assert out.strip().endswith("rows 3000 0")


def test_a_fetch_in_a_greenlet_of_a_host_that_is_not_patched(tmp_path):
    script = """
        import sys, gevent
        from mixpanel_fetch import Workspace

        def fetch():
            return Workspace(
                username="demo", secret="demo-secret", project_id=12345,
                api_base_url=sys.argv[1], destination="jsonl:///" + sys.argv[2],
            ).fetch_profiles(parallel=True)

        greenlet = gevent.spawn(fetch)
        ticks = 0
        while not greenlet.ready():
            ticks += 1
            gevent.sleep(0.01)
        assert ticks > 5, ticks
        print(greenlet.get().total_rows)
    """
    with SimulatorProcess(profiles=1000, page_size=100, latency=0.05) as simulator:
        out = run_script(script, simulator.base_url, tmp_path / "x.jsonl")
    assert out.strip() == "1000"


def test_several_threads_fetch_with_one_workspace(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=600, page_size=100)
    workspace = workspace_of(simulator, f"jsonl:///{tmp_path}/{{table}}.jsonl")
    results = []

    def fetch(number):
        results.append(workspace.fetch_profiles(f"users{number}", parallel=True))

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.total_rows for result in results] == [600] * 3
    files = sorted(tmp_path.glob("*.jsonl"))
    assert [len(file.read_text().splitlines()) for file in files] == [600] * 3
    assert simulator.stats.max_in_flight <= 5  # the workspace's client has one gate


def test_asyncio_to_thread(engage_simulator, workspace_of, tmp_path):
    workspace = workspace_of(engage_simulator(profiles=300), f"jsonl:///{tmp_path}/x.jsonl")
    result = asyncio.run(asyncio.to_thread(workspace.fetch_profiles, parallel=True))
    assert result.total_rows == 300


def test_warnings_go_to_the_hosts_log_and_nowhere_else(
    engage_simulator, workspace_of, tmp_path, capfd, caplog
):
    workspace = workspace_of(engage_simulator(profiles=700, page_size=10), f"jsonl:///{tmp_path}/x")
    with caplog.at_level(logging.INFO, logger="mixpanel_fetch"):
        workspace.fetch_profiles(parallel=True)
    assert capfd.readouterr() == ("", "")
    assert caplog.records
