"""What became of a figure over all runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.model import Figure, Reading


@dataclass
class Outcome:
    """The readings of one figure, in the order of the runs."""

    figure: Figure
    readings: list[Reading] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        """The values, in the figure's unit."""
        return [reading.value for reading in self.readings]

    @property
    def floors(self) -> list[float]:
        """The floors, each from its value's run, in the figure's unit; empty without one."""
        return [reading.floor for reading in self.readings if reading.floor is not None]

    @property
    def ratios(self) -> list[float]:
        """Each value over its floor; empty without one."""
        return [value / floor for value, floor in self._pairs()]

    @property
    def judged(self) -> list[float]:
        """What the bound is for: ratios, differences or the values; empty where it has no floor."""
        if self.figure.judged == "value":
            return self.values
        if self.figure.judged == "difference":
            return [value - floor for value, floor in self._pairs()]
        return self.ratios

    @property
    def met(self) -> bool | None:
        """Whether the median keeps within the bound; None without a bound."""
        if self.figure.at_most is None:
            return None
        return median(self.judged) <= self.figure.at_most

    def document(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        figure = self.figure
        return {
            "case": figure.name.partition("/")[0],
            "name": figure.name,
            "what": figure.what,
            "unit": figure.unit,
            "samples": self.values,
            "floor": figure.floor,
            "floor_samples": self.floors,
            "ratios": self.ratios,
            "judged": figure.judged,
            "target": figure.at_most,
            "met": self.met,
        }

    def _pairs(self) -> Iterable[tuple[float, float]]:
        return zip(self.values, self.floors, strict=False)


def outcomes_of(readings: Iterable[Reading]) -> Sequence[Outcome]:
    """Gather readings by their figure, in order of first appearance."""
    found: dict[Figure, Outcome] = {}
    for reading in readings:
        found.setdefault(reading.figure, Outcome(reading.figure)).readings.append(reading)
    return list(found.values())
