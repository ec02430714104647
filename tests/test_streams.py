"""Rows on standard output: pipelines of real processes, readers that leave, stall or are slow."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import SimulatorProcess

MP = [sys.executable, "-m", "mixpanel_fetch.cli"]
STREAM = "mp fetch profiles -p --to jsonl://- -q"
READER_GONE = 141
WORKERS = 5
# What may be asked for while nothing is read: page 0, pages under way, pages that wait.
MOST_PAGES = 1 + WORKERS + (WORKERS + 1)


@pytest.fixture(scope="module")
def large_project():
    """A project of 200,000 profiles, served by a process of its own."""
    with SimulatorProcess(profiles=200_000) as simulator:
        yield simulator


@pytest.fixture
def project(large_project, environment_of):
    large_project.reset_stats()
    environment_of(large_project)
    return large_project


@pytest.fixture(params=["buffered", "unbuffered"])
def buffering(request, monkeypatch):
    """Python's own streams in both ways that they come in."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if request.param == "unbuffered":
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")


class Ended:
    """What a pipeline left: each command's exit code, stdout, stderr."""

    def __init__(self, codes, out, err):
        self.codes, self.out, self.err = codes, out, err


@pytest.fixture
def bash(tmp_path):
    """Run a pipeline in bash, in which ``mp`` is ours."""

    def run(pipeline):
        script = f'mp() {{ {shlex.join(MP)} "$@"; }}\n{pipeline}\necho "${{PIPESTATUS[@]}}" > codes'
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            timeout=60,
        )
        codes = [int(code) for code in (tmp_path / "codes").read_text().split()]
        return Ended(codes, done.stdout, done.stderr)

    return run


# A reader that leaves


@pytest.mark.usefixtures("buffering")
def test_a_reader_that_leaves_ends_the_fetch_at_once_and_in_silence(bash, project):
    done = bash(f"{STREAM} | head -1")
    assert done.codes == [READER_GONE, 0]
    assert [*json.loads(done.out)] == ["distinct_id", "properties", "last_seen"]
    assert done.err == ""
    assert project.stats.received <= MOST_PAGES


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "pipeline",
    [
        f"{STREAM} --page-size 2 | head -1",  # a page is less than any buffer holds
        f"{STREAM} --format json -v 2>&1 | head -1",
        "mp plugins list | true",
    ],
)
def test_it_is_silence_whatever_the_reader_left_unread(bash, pipeline):
    done = bash(pipeline)
    assert (done.codes, done.err) == ([READER_GONE, 0], "")


@pytest.mark.usefixtures("project")
def test_verbose_says_in_a_line_why_it_ended(bash):
    done = bash(f"{STREAM} --format json -v | head -1")
    assert done.codes == [READER_GONE, 0]
    assert done.err.splitlines()[-1] == (
        "mp: the reader of standard output went away before all rows were written"
    )
    assert done.err.count("went away") == 1
    assert "{" not in done.err


def test_any_sink_may_say_that_its_reader_is_gone(engage_simulator, environment_of, mp, tmp_path):
    plugin = tmp_path / "gone.py"
    plugin.write_text(
        "from mixpanel_fetch import BaseEngine, BaseLoad, ReaderGoneError, SinkSpec, hookimpl\n"
        "class Gone(BaseEngine, BaseLoad):\n"
        "    def __init__(self, location): pass\n"
        "    def begin(self, table, mode, run): return self\n"
        "    def write(self, page_index, batch): raise ReaderGoneError('nobody listens')\n"
        "@hookimpl\n"
        "def register_sinks(): return [SinkSpec('gone', Gone)]\n"
    )
    environment_of(engage_simulator(profiles=10))
    fetch = ("fetch", "profiles", "--plugin", plugin, "--to", "gone://x", "-q")
    quiet = mp(*fetch)
    assert (quiet.code, quiet.out, quiet.err) == (READER_GONE, "", "")
    assert mp(*fetch, "-v").err.endswith("mp: nobody listens\n")


# An output that takes no more


@pytest.mark.usefixtures("project", "buffering")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"{STREAM} --page-size 2", "cannot write standard output"),
        ("mp plugins list --json", "cannot write the output"),
    ],
)
def test_a_full_disk_behind_stdout_is_one_line(bash, command, words):
    done = bash(f"{command} > /dev/full")
    assert (done.codes, done.err.count("\n")) == ([1], 1)
    assert done.err.lower().startswith(f"mp: {words}: no space left on")


def test_what_was_wrong_is_told_though_stdout_is_full(bash):
    done = bash("mp fetch nothing > /dev/full")
    first, *_, last = done.err.splitlines()
    assert first.startswith("mp: No such command 'nothing'")
    assert last == "mp: cannot write the output: No space left on device"
    assert "Traceback" not in done.err


# A slow reader, and one that does nothing


@pytest.fixture
def start():
    """Start a stream that is read by nobody but the test."""
    writers = []

    def run():
        command = [*MP, *STREAM.split()[1:]]
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return writers[-1]

    yield run
    for writer in writers:
        with writer:
            writer.kill()


def settled(simulator):
    """Wait until pages are asked for no more; return how many were."""
    before = 0
    for _ in range(100):
        time.sleep(0.5)
        now = simulator.stats.received
        if now == before > 1:
            return now
        before = now
    raise AssertionError(f"still asking, after {before} pages")


def test_while_nobody_reads_no_more_pages_are_asked_for(engage_simulator, environment_of, start):
    simulator = engage_simulator(profiles=8_000, page_size=200)  # a page is more than a pipe holds
    environment_of(simulator)
    writer = start()
    assert settled(simulator) <= MOST_PAGES
    out, err = writer.communicate(timeout=30)
    assert writer.returncode == 0
    assert len({json.loads(line)["distinct_id"] for line in out.splitlines()}) == 8_000
    assert json.loads(err)["total_rows"] == 8_000
    assert simulator.stats.received == 40


def test_a_signal_ends_it_though_nobody_reads(project, start):
    writer = start()
    settled(project)
    writer.send_signal(signal.SIGTERM)
    assert writer.wait(timeout=20) == 143
    assert json.loads(writer.stderr.read())["interrupted"] is True


def peak_of(process):
    """The most memory that ``process`` has had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.usefixtures("project")
def test_memory_does_not_grow_with_the_rows(start):
    writer = start()
    for _ in range(10_000):
        assert writer.stdout.readline()
    early = peak_of(writer)
    for _ in range(50_000):
        assert writer.stdout.readline()
    assert peak_of(writer) < 1.3 * early


def test_a_pipe_is_left_as_it_was_for_others_who_write_to_it(engage_simulator, environment_of):
    environment_of(engage_simulator(profiles=10))
    reading, writing = os.pipe()
    try:
        command = [*MP, *STREAM.split()[1:]]
        subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=True, timeout=60)
        assert os.get_blocking(writing)
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert len(pipe.read().splitlines()) == 10


# Readers that know what to do with it


@pytest.fixture
def people(engage_simulator, environment_of):
    environment_of(engage_simulator(profiles=2_500))


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.usefixtures("people")
def test_jq_reads_the_stream(bash):
    done = bash(f"{STREAM} --raw | jq -r '.\"$distinct_id\"'")
    assert done.codes == [0, 0]
    assert len(set(done.out.split())) == 2_500
    assert json.loads(done.err)["total_rows"] == 2_500


READER = """
import duckdb, json
duckdb.execute("CREATE TABLE t AS FROM read_ndjson('/dev/stdin')")
[counts] = duckdb.execute("SELECT count(*), count(last_seen), count(properties.plan) FROM t").fetchall()
types = dict(duckdb.execute("SELECT column_name, column_type FROM (DESCRIBE t)").fetchall())
print(json.dumps([counts, types["last_seen"]]))
"""  # noqa: E501


@pytest.mark.usefixtures("people")
def test_duckdb_reads_the_stream(bash, tmp_path):
    (tmp_path / "reader.py").write_text(READER)
    done = bash(f"{STREAM} | {shlex.quote(sys.executable)} reader.py")
    assert done.codes == [0, 0]
    (rows, seen, plans), kind = json.loads(done.out)
    assert rows == 2_500
    assert min(seen, plans) > 0
    assert kind.startswith("TIMESTAMP")


def test_no_row_is_written_twice_when_the_session_expires(engage_simulator, environment_of, bash):
    environment_of(engage_simulator(profiles=1000, page_size=100, session_pages=3))
    ended = bash("mp fetch profiles --to jsonl://- --log-format json | cat")
    ids = [json.loads(line)["distinct_id"] for line in ended.out.splitlines()]
    assert ended.codes[0] == 1
    assert 0 < len(ids) == len(set(ids)) < 1000
    assert "the session expired" in ended.err
