"""How long ``mp`` takes to say something, beside an interpreter that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.command import MP
from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.processes import clean_environment, measure
from benchmarks.scale import Scale

_HEAVY = ("duckdb", "gevent", "requests")
_COUNT_HEAVY = f"""import sys
from mixpanel_fetch.cli import run
run(["--version"])
run(["--help"])
print(len([name for name in {_HEAVY} if name in sys.modules]))
"""
_FLOOR = "python -c pass"
_MOST_MS = 60.0


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    for option in ("--version", "--help"):  # the first start of all writes the byte code
        _milliseconds(folder, [MP, option])
    yield partial(_run, scale, folder)


def _run(scale: Scale, folder: Path, _: int) -> Iterator[Reading]:
    for _ in range(scale.startup_rounds):
        bare = _milliseconds(folder, [sys.executable, "-c", "pass"])
        for option in ("--version", "--help"):
            figure = Figure(
                f"startup/{option[2:]}", f"mp {option}", "ms", _FLOOR, "difference", _MOST_MS
            )
            yield Reading(figure, _milliseconds(folder, [MP, option]), bare)
    yield Reading(
        Figure(
            "startup/imports",
            f"imported of {', '.join(_HEAVY)}",
            "modules",
            judged="value",
            at_most=0,
        ),
        _heavy_modules(folder),
    )


def _milliseconds(folder: Path, command: list[str | Path]) -> float:
    what = " ".join([Path(command[0]).name, *map(str, command[1:])])
    usage = measure(what, command, folder=folder, env=clean_environment(folder))
    return usage.wall * 1000


def _heavy_modules(folder: Path) -> int:
    command = [sys.executable, "-c", _COUNT_HEAVY]
    return int(measure("what mp imports", command, folder=folder).out.split()[-1])


CASE = Case(
    "startup",
    _prepare,
    ("startup: judged is the difference to the bare interpreter, in ms.",),
)
