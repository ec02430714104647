"""What transforms cost a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.model import Case, Figure, Reading, Run
from benchmarks.processes import in_child
from benchmarks.scale import Scale

_FIGURES: Mapping[str, tuple[str, float | None]] = {
    "none": ("no transform: the loop alone", None),
    "columns": ("columns: the same ones in a new batch", None),
    "drop": ("drop:$email", None),
    "rows": ("rows: taken apart, put together", 5.0),
    "rows-changed": ("rows: one property set in each", None),
}
"""What each transform of benchmarks/children/transforms.py does, and its bound in us a row."""


@contextmanager
def _prepare(scale: Scale, folder: Path) -> Iterator[Run]:
    yield partial(_run, scale, folder)


def _run(scale: Scale, folder: Path, _: int) -> Iterator[Reading]:
    costs = in_child("transforms", "transforms", folder, batches=scale.batches)
    for name, (what, at_most) in _FIGURES.items():
        figure = Figure(f"transforms/{name}", what, "us/row", judged="value", at_most=at_most)
        yield Reading(figure, costs[name])


CASE = Case(
    "transforms",
    _prepare,
    ("transforms: over batches of 1,000 narrow rows that are decoded already.",),
)
