"""Peak memory of the process, under the settings that the speed is measured with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.command import fetch
from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.scale import Scale
from mixpanel_fetch.simulator import SimulatorProcess

_MOST_MB = 400.0


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    yield partial(_run, scale, folder)


def _run(scale: Scale, folder: Path, run: int) -> Iterator[Reading]:
    small, large, largest = scale.memory
    base = _peak(small, "narrow", folder)
    yield Reading(_figure(small), base)
    peak = _peak(large, "narrow", folder)
    yield Reading(_figure(large, floor=f"{small:,}", at_most=1.20), peak, base)
    yield Reading(_limited("memory/limit", f"the same, {large:,} narrow"), peak)
    if run == 0:
        yield Reading(_figure(largest, floor=f"{small:,}"), _peak(largest, "narrow", folder), base)
    wide = _limited(f"memory/wide/{scale.wide}", f"{scale.wide:,} wide, peak")
    yield Reading(wide, _peak(scale.wide, "wide", folder))


def _limited(name: str, what: str) -> Figure:
    return Figure(name, what, "MB", judged="value", at_most=_MOST_MB)


def _figure(profiles: int, floor: str = "", at_most: float | None = None) -> Figure:
    name, what = f"memory/narrow/{profiles}", f"{profiles:,} narrow, peak"
    return Figure(name, what, "MB", floor, at_most=at_most)


def _peak(profiles: int, kind: str, folder: Path) -> float:
    # Pages are made up as they are asked for: three million would not fit in a cache.
    with SimulatorProcess(profiles=profiles, kind=kind, cache_bytes=0) as simulator:
        return fetch(simulator, folder).usage.peak


CASE = Case(
    "memory",
    _prepare,
    (
        "memory: peak resident memory of the process of mp fetch profiles --parallel, in MB of"
        " 1,048,576 bytes. The largest count is fetched in the first run only.",
    ),
)
