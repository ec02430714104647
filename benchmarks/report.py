"""The table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.outcome import Outcome

_HEADINGS = ("figure", "what", "median (min-max)", "floor", "against floor", "at most", "")
_MARKS = {True: "met", False: "NOT MET", None: ""}


def table(outcomes: Iterable[Outcome], *, verdicts: bool = True) -> str:
    """Return one line a figure: its value, its floor, the comparison with it, the bound.

    Without ``verdicts`` nothing is said of whether bounds are met.
    """
    return aligned([_HEADINGS, *(_row(outcome, verdicts) for outcome in outcomes)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text as columns, the first row as the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths).rstrip(), *lines[1:]])


def _row(outcome: Outcome, verdicts: bool) -> tuple[str, ...]:
    figure = outcome.figure
    floor = f"{number(median(outcome.floors))} {figure.floor}" if outcome.floors else ""
    against = ""
    if outcome.floors:
        sign = "+" if figure.judged == "difference" else ""
        against = sign + spread(outcome.judged)
    unit = "x" if figure.judged == "ratio" else f" {figure.unit}"
    bound = "" if figure.at_most is None else f"{figure.at_most:g}{unit}"
    value = f"{spread(outcome.values)} {figure.unit}"
    mark = _MARKS[outcome.met if verdicts else None]
    return figure.name, figure.what, value, floor, against, bound, mark


def spread(values: Sequence[float]) -> str:
    """Return the median, and the least and the most where there are several."""
    middle = number(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))}-{number(max(values))})"


def number(value: float) -> str:
    """Return a number with the digits that count: 123, 45.6, 7.89, 0.012."""
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    if abs(value) >= 0.1:
        return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"
    return f"{value:.2g}"
