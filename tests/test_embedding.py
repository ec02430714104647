"""A fetch changes nothing in the process that makes it, and works wherever it is called."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

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
    with SimulatorProcess(profiles=3000, page_size=100, latency=0.15, gather=5) as simulator:
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


# Streams

CONNECT = """
import sys
from mixpanel_fetch import Workspace

def connect(destination="jsonl:///nowhere.jsonl", **client):
    return Workspace(
        username="demo", secret="demo-secret", project_id=12345, api_base_url=sys.argv[1],
        destination=destination, **client,
    )
"""


def test_a_stream_leaves_the_process_as_it_was():
    script = (
        SNAPSHOT
        + CONNECT
        + """
import mixpanel_fetch.services
before = snapshot()
assert len(list(connect().stream_profiles())) == 2500
with connect().stream_profiles() as stream:
    next(stream)
deadline = time.monotonic() + 30
while threading.active_count() > 1 and time.monotonic() < deadline:
    time.sleep(0.01)
assert threading.active_count() == 1, threading.enumerate()
after = snapshot()
for name in before:
    assert before[name] == after[name], (name, before[name], after[name])
from gevent._hub_local import get_hub_if_exists
assert get_hub_if_exists() is None
"""
    )
    with SimulatorProcess(profiles=2500, page_size=100, latency=0.02) as simulator:
        run_script(script, simulator.base_url)


@pytest.mark.parametrize("first", ["patched first", "imported first"])
def test_streams_in_a_patched_host_that_goes_on_beside_them(first):
    # gevent warns of ssl when it comes late; that is for the host to hear.
    patch = "import warnings; warnings.simplefilter('ignore')\n"
    patch += "from gevent import monkey; monkey.patch_all()\n"
    load = "from mixpanel_fetch import Workspace; import mixpanel_fetch.streaming\n"
    script = (
        (patch + load if first == "patched first" else load + patch)
        + CONNECT
        + """
import logging, threading, time
import gevent

logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
log, turns = logging.getLogger("host"), []

def chatter():
    while True:
        turns.append(1)
        log.debug("the host goes on")
        gevent.sleep(0.005)

other = gevent.spawn(chatter)
workspace = connect()

def read():
    return len({row["distinct_id"] for row in workspace.stream_profiles()})

assert read() == 3000    # alone: gevent 24 loses hubs that import a module at the same time
began = len(turns)
readers = [gevent.spawn(read) for _ in range(2)]
gevent.joinall(readers, timeout=50, raise_error=True)
assert [one.value for one in readers] == [3000, 3000], readers
assert len(turns) - began > 20, turns    # waiting for a page stops nobody

with workspace.stream_profiles() as stream:    # left early
    next(stream)
    time.sleep(0.05)
killed = gevent.spawn(lambda: [time.sleep(0.01) for _ in workspace.stream_profiles()])
gevent.sleep(0.5)
killed.kill()                                  # and in the middle of it
gevent.sleep(0.1)
assert not other.dead
other.kill()
print("done")
"""
    )
    with SimulatorProcess(profiles=3000, page_size=100, latency=0.1) as simulator:
        out = run_script(script, simulator.base_url)
    assert out.strip().endswith("done")


def test_a_stream_in_a_greenlet_of_a_host_that_is_not_patched():
    script = (
        CONNECT
        + """
import gevent
ticks = 0
greenlet = gevent.spawn(lambda: len(list(connect().stream_profiles())))
while not greenlet.ready():
    ticks += 1
    gevent.sleep(0.01)
assert ticks > 5, ticks
print(greenlet.get())
"""
    )
    with SimulatorProcess(profiles=1000, page_size=100, latency=0.05) as simulator:
        assert run_script(script, simulator.base_url).strip() == "1000"


def test_a_program_may_end_in_the_middle_of_a_stream():
    script = CONNECT + "stream = connect().stream_profiles(); next(stream); print('enough')"
    with SimulatorProcess(profiles=20_000, page_size=500, latency=0.01) as simulator:
        for _ in range(3):
            assert run_script(script, simulator.base_url) == "enough\n"


def test_ctrl_c_ends_a_stream_that_waits():
    script = (
        CONNECT
        + """
import os, signal, threading, time
main = threading.main_thread().ident
threading.Timer(1.0, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
try:
    with connect(read_timeout=300).stream_profiles() as stream:
        list(stream)
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    with SimulatorProcess(profiles=1000, page_size=100, latency=5.0) as simulator:
        assert run_script(script, simulator.base_url) == "interrupted\n"


# asyncio


def test_a_stream_in_an_asyncio_program_that_goes_on_beside_it(engage_simulator, workspace_of):
    workspace = workspace_of(
        engage_simulator(profiles=1000, page_size=100, latency=0.05), "jsonl:///nowhere.jsonl"
    )

    async def program():
        ticks, rows = 0, 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        with workspace.stream_profiles() as stream:
            batches = stream.batches()
            while batch := await asyncio.to_thread(next, batches, None):
                rows += len(batch)
        ticking.cancel()
        return rows, ticks

    rows, ticks = asyncio.run(program())
    assert rows == 1000
    assert ticks > 5


def test_several_fetches_at_once_in_an_asyncio_program(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=300, page_size=100)
    workspace = workspace_of(simulator, f"jsonl:///{tmp_path}/{{table}}.jsonl")

    async def program():
        return await asyncio.gather(
            *(
                asyncio.to_thread(workspace.fetch_profiles, name, parallel=True)
                for name in ("a", "b", "c")
            )
        )

    results = asyncio.run(program())
    assert [result.total_rows for result in results] == [300] * 3


def test_a_fetch_in_an_asyncio_program_is_stopped_through_its_event(
    engage_simulator, workspace_of, tmp_path
):
    simulator = engage_simulator(profiles=10_000, page_size=100, latency=0.05)
    workspace = workspace_of(simulator, f"jsonl:///{tmp_path}/x.jsonl")

    async def program():
        cancel = threading.Event()
        fetch = asyncio.create_task(
            asyncio.to_thread(workspace.fetch_profiles, parallel=True, cancel=cancel)
        )
        while simulator.stats.received < 5:
            await asyncio.sleep(0.01)
        cancel.set()
        return await fetch

    result = asyncio.run(program())
    assert result.interrupted
    assert result.failed_pages > 0


# Processes that fork, as Celery's do


@pytest.mark.parametrize("before", ["imported", "fetched"])
def test_a_fetch_in_a_process_that_was_forked(before, tmp_path):
    script = (
        CONNECT
        + """
import os
workspace = connect("duckdb:///" + sys.argv[2])
if sys.argv[3] == "fetched":
    assert len(list(workspace.stream_profiles())) == 500
    workspace.fetch_profiles("parent", parallel=True)
child = os.fork()
if child == 0:
    code = 1
    try:
        result = workspace.fetch_profiles("child", parallel=True)
        streamed = len(list(workspace.stream_profiles()))
        code = 0 if (result.total_rows, streamed) == (500, 500) else 2
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(sorted(one.name for one in workspace.tables()))
"""
    )
    with SimulatorProcess(profiles=500, page_size=50) as simulator:
        out = run_script(script, simulator.base_url, tmp_path / "x.duckdb", before)
    tables = ["child", "parent"] if before == "fetched" else ["child"]
    assert out.splitlines() == ["0", str(tables)]


def test_tasks_of_a_pool_of_worker_threads(engage_simulator, workspace_of, tmp_path):
    workspace = workspace_of(
        engage_simulator(profiles=300, page_size=100), f"duckdb:///{tmp_path}/x.duckdb"
    )

    def task(name):
        workspace.fetch_profiles(name, parallel=True)
        return workspace.sql(f"SELECT count(*) FROM {name}").rows[0][0]

    with ThreadPoolExecutor(1) as pool:  # one after the other: a file has one writer
        assert list(pool.map(task, ["a", "b"])) == [300, 300]
        assert pool.submit(lambda: len(list(workspace.stream_profiles()))).result() == 300
