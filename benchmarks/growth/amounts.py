"""How much of everything: the proof, and a quick look."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.growth.projects import Load


@dataclass(frozen=True)
class Amounts:
    """``profiles``: the counts that are fetched, rising.

    Peaks are compared with that at ``reference`` profiles; ``projects``: the many projects.
    """

    profiles: tuple[int, ...]
    reference: int
    projects: Load


FULL = Amounts(
    (100_000, 1_000_000, 3_000_000, 10_000_000), 1_000_000, Load(50, 10_000, latency=0.2)
)

# Says nothing about cost: it shows that everything still runs.
SMALL = Amounts((1_000, 3_000), 1_000, Load(4, 1_500, latency=0.01, at_once=1))
