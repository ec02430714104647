"""Simulated Mixpanels to measure against, and how fast they let a client be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import in_child
from mixpanel_fetch.simulator import SimulatorProcess

AT_ONCE = 5
PAGE = 1000
_CACHE_BYTES = 512 * 1024 * 1024


@contextmanager
def warm_simulator(
    profiles: int, folder: Path, *, kind: str = "narrow", latency: float = 0.0, tls: bool = False
) -> Iterator[SimulatorProcess]:
    """Serve ``profiles`` from a process whose cache holds every page already.

    So no run measures how the simulator makes profiles up. Answers are not compressed: that would
    be the simulator's time too. ``latency`` in seconds a page.
    """
    with SimulatorProcess(
        profiles=profiles, kind=kind, latency=latency, tls=tls, cache_bytes=_CACHE_BYTES
    ) as simulator:
        download(simulator, folder, what=f"untimed: warm up {profiles:,} {kind}")
        yield simulator


def download(simulator: SimulatorProcess, folder: Path, *, what: str = "download only") -> float:
    """Read every page over five connections and return the seconds that took."""
    result = in_child(
        what, "download", folder, base_url=simulator.base_url, ca_bundle=simulator.ca_bundle
    )
    return float(result["seconds"])


def round_trips(profiles: int, at_once: int = AT_ONCE) -> int:
    """Return how many round trips a fetch takes at least: the first page, then the others."""
    return 1 + math.ceil((math.ceil(profiles / PAGE) - 1) / at_once)
