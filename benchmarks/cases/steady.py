"""A server as slow as a usual one: network and DuckDB work at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.command import fetch
from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.references import fastest, ingest
from benchmarks.scale import Scale
from benchmarks.simulated import round_trips, warm_simulator
from mixpanel_fetch.simulator import SimulatorProcess

_FLOOR = "network or DuckDB"


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    with (
        warm_simulator(scale.narrow, folder, latency=scale.steady_latency) as slow,
        warm_simulator(scale.narrow, folder) as quick,
    ):
        yield partial(_run, scale, folder, slow, quick)


def _run(
    scale: Scale, folder: Path, slow: SimulatorProcess, quick: SimulatorProcess, _: int
) -> Iterator[Reading]:
    fetched = fetch(slow, folder)
    network = round_trips(scale.narrow) * scale.steady_latency
    floor = max(network, fastest(ingest(quick, folder)).seconds)
    size = f"{scale.narrow:,} at {scale.steady_latency * 1000:.0f} ms a page"
    duration = Figure("steady/duration", f"{size}, duration_seconds", floor=_FLOOR, at_most=1.15)
    yield Reading(duration, fetched.seconds, floor)
    process = Figure("steady/process", f"{size}, whole process", floor=_FLOOR, at_most=1.15)
    yield Reading(process, fetched.usage.wall, floor)


CASE = Case(
    "steady",
    _prepare,
    (
        "steady: the floor is the larger one of the round trips' latency and DuckDB only, of the"
        " same run.",
    ),
)
