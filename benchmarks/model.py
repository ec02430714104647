"""What a case is, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from benchmarks.scale import Scale

Judged = Literal["ratio", "difference", "value"]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    ``name`` starts with the case's name; ``unit`` holds for values and floors; ``floor`` says in
    words what the value is compared with. ``judged`` is what ``at_most`` bounds: the value over
    its floor, the value less its floor, or the value alone. Without ``at_most`` a figure is shown
    and not judged.
    """

    name: str
    what: str
    unit: str = "s"
    floor: str = ""
    judged: Judged = "ratio"
    at_most: float | None = None


@dataclass(frozen=True)
class Reading:
    """One measurement of a figure, with its floor from the same run, both in the figure's unit."""

    figure: Figure
    value: float
    floor: float | None = None


Run: TypeAlias = Callable[[int], Iterable[Reading]]
"""Measures everything of a case once, floors included. Takes the number of the run, from 0."""


@dataclass(frozen=True)
class Case:
    """What ``--only`` names.

    ``prepare`` gets the scale and a folder for files, sets up what all runs share (simulators),
    and gives what makes one run. ``notes`` stand under the table.
    """

    name: str
    prepare: Callable[[Scale, Path], AbstractContextManager[Run]]
    notes: tuple[str, ...] = ()
