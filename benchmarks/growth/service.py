"""A child process that answers lines of JSON, one with one, and ends with its stdin."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from benchmarks import ROOT
from benchmarks.processes import BenchmarkError

_STOP_SECONDS = 30.0


class Service:
    """A running child: ``python -m MODULE``. ``pid`` is its process id."""

    def __init__(self, child: subprocess.Popen[str], module: str) -> None:
        self._child = child
        self._module = module
        self.pid = child.pid

    def ask(self, question: Any = None) -> Any:
        """Return the answer to ``question``. Raises BenchmarkError if the child has ended."""
        try:
            _pipe(self._child.stdin).write(f"{json.dumps(question)}\n")
            _pipe(self._child.stdin).flush()
        except BrokenPipeError:
            pass  # told below
        line = _pipe(self._child.stdout).readline()
        if not line:
            raise BenchmarkError(f"{self._module}: it ended before it answered")
        return json.loads(line)


@contextmanager
def service(module: str, environment: Mapping[str, str]) -> Iterator[Service]:
    """Run ``module`` while this is entered."""
    child = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        start_new_session=True,  # a Ctrl-C ends it by way of its stdin
    )
    with child:
        try:
            yield Service(child, module)
        finally:
            _pipe(child.stdin).close()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the child has no pipes")
    return pipe
