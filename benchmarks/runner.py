"""Runs a case as often as asked."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.model import Case, Reading
from benchmarks.outcome import Outcome, outcomes_of
from benchmarks.processes import say
from benchmarks.scale import Scale


def run_case(case: Case, scale: Scale, runs: int) -> Sequence[Outcome]:
    """Measure ``case`` and return what became of its figures.

    In each run, what is measured and its floors come one after the other, so that whatever else
    the machine does meets both.
    """
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="mixpanel-fetch-bench-") as name:
        say(f"{case.name}: preparing")
        with case.prepare(scale, Path(name)) as run:
            for number in range(runs):
                say(f"{case.name}: run {number + 1} of {runs}")
                readings += run(number)
    return outcomes_of(readings)
