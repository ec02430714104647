"""How much of everything: the figures of the full benchmarks, and of a quick look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Counts of profiles, batches and rounds; latencies in seconds a page.

    ``memory``: the counts of narrow profiles whose peaks are compared, the first one being what
    the others are compared with; the last one is measured in the first run only.
    ``startup_rounds``: how often each command starts in one run.
    """

    runs: int
    latency_profiles: int
    latency: float
    narrow: int
    wide: int
    steady_latency: float
    memory: tuple[int, int, int]
    startup_rounds: int
    batches: int


FULL = Scale(
    runs=5,
    latency_profiles=25_000,
    latency=0.4,
    narrow=200_000,
    wide=50_000,
    steady_latency=0.1,
    memory=(200_000, 1_000_000, 3_000_000),
    startup_rounds=4,
    batches=100,
)

# Says nothing about speed: it shows that everything still runs.
SMALL = Scale(
    runs=1,
    latency_profiles=5_000,
    latency=0.02,
    narrow=5_000,
    wide=2_000,
    steady_latency=0.02,
    memory=(2_000, 5_000, 8_000),
    startup_rounds=1,
    batches=5,
)
