"""A slow server: the network is what a fetch waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.processes import in_child
from benchmarks.scale import Scale
from benchmarks.simulated import round_trips, warm_simulator
from mixpanel_fetch.simulator import SimulatorProcess

_FLOOR = "round trips"


@dataclass(frozen=True)
class _Servers:
    http: SimulatorProcess
    tls: SimulatorProcess


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    serve = partial(warm_simulator, scale.latency_profiles, folder, latency=scale.latency)
    with serve() as http, serve(tls=True) as tls:
        yield partial(_run, scale, folder, _Servers(http, tls))


def _run(scale: Scale, folder: Path, servers: _Servers, _: int) -> Iterator[Reading]:
    floor = round_trips(scale.latency_profiles) * scale.latency
    floor_of_one = round_trips(scale.latency_profiles, 1) * scale.latency
    size = f"{scale.latency_profiles:,} profiles at {scale.latency * 1000:.0f} ms a page"
    http = _fetch(servers.http, folder, parallel=True)
    yield Reading(
        Figure("latency/http", f"{size}, parallel, HTTP", floor=_FLOOR, at_most=1.10), http, floor
    )
    tls = _fetch(servers.tls, folder, parallel=True)
    yield Reading(
        Figure("latency/tls", f"{size}, parallel, TLS", floor=_FLOOR, at_most=1.15), tls, floor
    )
    one = _fetch(servers.http, folder, parallel=False)
    yield Reading(
        Figure("latency/sequential", f"{size}, sequential, HTTP", floor=_FLOOR), one, floor_of_one
    )
    figure = Figure(
        "latency/gain", "parallel against sequential, HTTP", floor="sequential", at_most=0.22
    )
    yield Reading(figure, http, one)


def _fetch(simulator: SimulatorProcess, folder: Path, *, parallel: bool) -> float:
    how = "parallel" if parallel else "sequential"
    scheme = simulator.base_url.partition(":")[0]
    result = in_child(
        f"Workspace.fetch_profiles, {how}, {scheme}",
        "fetch",
        folder,
        base_url=simulator.base_url,
        ca_bundle=simulator.ca_bundle,
        file=str(folder / "latency.duckdb"),
        parallel=parallel,
    )
    return float(result["seconds"])


CASE = Case(
    "latency",
    _prepare,
    (
        "latency: duration_seconds of the result. latency/gain: of 25 pages, five at once are 6"
        " round trips against 25, so the floors alone have a ratio of 0.24.",
    ),
)
