"""A server that answers at once: DuckDB is what a fetch waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.command import fetch
from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.references import BESIDE, FLOORS, fastest, ingest
from benchmarks.scale import Scale
from benchmarks.simulated import download, warm_simulator
from mixpanel_fetch.simulator import SimulatorProcess

_FLOOR = "DuckDB only"
_CPU_UNIT = "s/100k"


@dataclass(frozen=True)
class _Load:
    """What is fetched. ``at_most`` bounds the wall, ``cpu_at_most`` the CPU, both over DuckDB's."""

    kind: str
    profiles: int
    simulator: SimulatorProcess
    at_most: float | None
    cpu_at_most: float | None

    @property
    def name(self) -> str:
        return f"throughput/{self.kind}"

    @property
    def what(self) -> str:
        return f"{self.profiles:,} {self.kind}"


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    with (
        warm_simulator(scale.narrow, folder) as narrow,
        warm_simulator(scale.wide, folder, kind="wide") as wide,
        warm_simulator(1, folder) as single,
    ):
        loads = (
            _Load("narrow", scale.narrow, narrow, 1.25, 1.5),
            _Load("wide", scale.wide, wide, None, None),
        )
        yield partial(_run, folder, loads, single)


def _run(
    folder: Path, loads: tuple[_Load, ...], single: SimulatorProcess, _: int
) -> Iterator[Reading]:
    for load in loads:
        yield from _readings(folder, load, single)


def _readings(folder: Path, load: _Load, single: SimulatorProcess) -> Iterator[Reading]:
    one = fetch(single, folder).usage
    whole = fetch(load.simulator, folder).usage
    ingests = ingest(load.simulator, folder, FLOORS + BESIDE)
    floor = fastest(ingests)
    per_100k = 100_000 / load.profiles

    net = Figure(load.name, f"{load.what}, less one profile", floor=_FLOOR, at_most=load.at_most)
    yield Reading(net, whole.wall - one.wall, floor.seconds)
    own = Figure(
        f"{load.name}/own", f"{load.what}, less one profile, too", floor=f"{_FLOOR}, own route"
    )
    yield Reading(own, whole.wall - one.wall, ingests["own"].seconds)
    gross = Figure(f"{load.name}/whole", f"{load.what}, whole process", floor=_FLOOR)
    yield Reading(gross, whole.wall, floor.seconds)
    yield Reading(Figure(f"{load.name}/one", "the process for one profile"), one.wall)
    cpu = Figure(
        f"{load.name}/cpu", f"{load.what}, CPU", _CPU_UNIT, f"{_FLOOR}, CPU", "ratio",
        load.cpu_at_most,
    )  # fmt: skip
    yield Reading(cpu, whole.cpu * per_100k, floor.cpu * per_100k)
    net_cpu = Figure(
        f"{load.name}/cpu-net", f"{load.what}, CPU less one profile", _CPU_UNIT, f"{_FLOOR}, CPU"
    )
    yield Reading(net_cpu, (whole.cpu - one.cpu) * per_100k, floor.cpu * per_100k)
    for route, took in ingests.items():
        figure = Figure(f"{load.name}/duckdb-{route}", f"{load.what}, {_FLOOR}, {route}")
        yield Reading(figure, took.seconds)
    reading = Figure(f"{load.name}/download", f"{load.what}, download only")
    yield Reading(reading, download(load.simulator, folder))


CASE = Case(
    "throughput",
    _prepare,
    (
        "throughput: wall and CPU of the whole process of mp. The floor is the faster of two"
        " routes into DuckDB, raw and lists, in each run: one transaction, no key, default"
        " settings, checkpoint and close included. raw: DuckDB reads the page's text; lists:"
        " pages are decoded before the clock starts. own is the sink's statement and compression,"
        " decoded before the clock too: shown beside them, because it is faster than both.",
    ),
)
