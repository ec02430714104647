"""What DuckDB alone takes for the pages of a simulator: the floor of everything that lands them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import in_child
from mixpanel_fetch.simulator import SimulatorProcess

FLOORS = ("raw", "lists")
"""The routes of which the faster one is the floor; see benchmarks/children/ingest.py."""

BESIDE = ("own",)
"""The sink's own route, faster than both: shown beside them, so that nobody takes the figures over
the floor for the sink's overhead."""


@dataclass(frozen=True)
class Ingest:
    """Seconds of wall and of CPU for one ingest, its checkpoint and close included."""

    seconds: float
    cpu: float


def ingest(
    simulator: SimulatorProcess, folder: Path, routes: tuple[str, ...] = FLOORS
) -> dict[str, Ingest]:
    """Ingest the simulator's pages by each route; getting them into memory is not timed."""
    return {route: _ingest(simulator, folder, route) for route in routes}


def fastest(ingests: Mapping[str, Ingest]) -> Ingest:
    """Return the floor: the faster one of :data:`FLOORS`."""
    return min((ingests[route] for route in FLOORS), key=lambda one: one.seconds)


def _ingest(simulator: SimulatorProcess, folder: Path, route: str) -> Ingest:
    result = in_child(
        f"DuckDB only, {route} (with untimed download)",
        "ingest",
        folder,
        base_url=simulator.base_url,
        route=route,
        file=str(folder / f"{route}.duckdb"),
    )
    return Ingest(result["seconds"], result["cpu"])
