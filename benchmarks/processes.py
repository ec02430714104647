"""One measured process: its wall time, its CPU time, its peak memory."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks import ROOT

TIMEOUT = 600.0
"""Seconds after which a measured process is given up."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class BenchmarkError(Exception):
    """Something that was to be measured did not do what it should."""


class TookTooLongError(BenchmarkError):
    """A measured process did not end in time and was killed."""


@dataclass(frozen=True)
class Usage:
    """What a process took. ``wall`` and ``cpu`` (user and system) in seconds, ``peak`` in MB.

    ``out`` is its stdout, empty where that went to a file.
    """

    wall: float
    cpu: float
    peak: float
    out: str


def say(line: str) -> None:
    """Tell on stderr what is going on."""
    print(line, file=sys.stderr, flush=True)


def clean_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment without settings, proxies and coverage of whoever runs this."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "XDG_CONFIG_HOME": str(folder), **more}


def measure(
    what: str,
    command: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
    stdout: Path | None = None,
    timeout: float = TIMEOUT,
) -> Usage:
    """Run ``command`` in ``folder`` and return what it took.

    ``stdout`` is a file to write to, for output too large to keep. Raises TookTooLongError after
    ``timeout`` seconds, BenchmarkError if the command fails.

    Linux counts the memory of the process that starts another one into the peak of that other
    one. So whoever calls this must stay small: no DuckDB, no pages, no plot in this process.
    """
    with (
        stdout.open("wb") if stdout else tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        environment = clean_environment(folder) if env is None else env
        started = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=environment
        )
        in_time, status, used = _wait(child, timeout)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        usage = Usage(
            wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, "" if stdout else _text(out)
        )
        if not in_time:
            raise TookTooLongError(f"{what}: not done after {timeout:.0f} s")
        if child.returncode:
            last = _text(err)[-2000:].strip()
            raise BenchmarkError(f"{what}: exit code {child.returncode}\n{last}")
    say(f"    {what}: {wall:.2f} s, CPU {usage.cpu:.2f} s, {usage.peak:.0f} MB")
    return usage


def in_child(what: str, module: str, folder: Path, **arguments: Any) -> dict[str, Any]:
    """Run ``benchmarks.children.MODULE`` in a process of its own and return what it gives."""
    command = [sys.executable, "-m", "benchmarks.children", module, json.dumps(arguments)]
    env = clean_environment(folder, PYTHONPATH=str(ROOT))
    result: dict[str, Any] = json.loads(measure(what, command, folder=folder, env=env).out)
    return result


def _wait(child: subprocess.Popen[bytes], timeout: float) -> tuple[bool, int, Any]:
    try:
        in_time = _ends_within(child.pid, timeout)
    except BaseException:
        child.kill()
        child.wait()
        raise
    if not in_time:
        child.kill()
    _, status, used = os.wait4(child.pid, 0)
    return in_time, status, used


def _ends_within(pid: int, seconds: float) -> bool:
    # Not Popen.wait: it polls, which rounds times up, and it reaps, which loses the usage.
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
