"""The geometry of the bar chart. Across in per cent, so that its letters never shrink."""

from __future__ import annotations

from dataclasses import dataclass

from mixpanel_fetch.report.periods import Periods

HEIGHT = 190
"""Of the plot, in pixels; it begins ``TOP`` pixels below the upper edge."""
TOP = 34
_LABELS = 4


@dataclass(frozen=True)
class Bar:
    """``x`` and ``width`` in per cent, ``y`` and ``height`` in pixels."""

    x: float
    width: float
    y: float
    height: float
    label: str
    rows: int


@dataclass(frozen=True)
class Tick:
    """A line across at ``y`` pixels, or a label below at ``x`` per cent."""

    at: float
    label: str
    anchor: str = "start"


@dataclass(frozen=True)
class BarChart:
    """What the template draws. ``bottom``: where the plot ends, in pixels."""

    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    bottom: int = TOP + HEIGHT


def bar_chart(periods: Periods) -> BarChart:
    """Lay out one bar a period, as high as its rows; a period without rows has none."""
    slot = 100 / len(periods.rows)
    top = _ceiling(max(rows for _, rows in periods.rows))
    bars = tuple(
        Bar(
            x=round(slot * (index + 0.1), 3),
            width=round(slot * 0.8, 3),
            y=round(TOP + HEIGHT - _height(rows, top), 1),
            height=_height(rows, top),
            label=label,
            rows=rows,
        )
        for index, (label, rows) in enumerate(periods.rows)
        if rows
    )
    marks = sorted({0, top // 2, top} if top % 2 == 0 else {0, top})
    lines = tuple(Tick(round(TOP + HEIGHT * (1 - mark / top), 1), f"{mark:,}") for mark in marks)
    return BarChart(bars, lines, tuple(_labels(periods, slot)))


def bar_rules() -> str:
    """Return the style of bars by how much of them is filled: a policy without inline styles."""
    return "".join(f".c{filled}{{--c:{filled}}}" for filled in range(101))


def _height(rows: int, top: int) -> float:
    return round(max(HEIGHT * rows / top, 1), 1)


def _ceiling(most: int) -> int:
    """Return the smallest 1, 2, 4, 5, 6, 8 or 10 times a power of ten that is not below."""
    power = int(10 ** (len(str(most)) - 1))
    return next(times * power for times in (1, 2, 4, 5, 6, 8, 10) if times * power >= most)


def _labels(periods: Periods, slot: float) -> list[Tick]:
    last = len(periods.rows) - 1
    places = sorted({round(last * k / (_LABELS - 1)) for k in range(_LABELS)})
    if last < _LABELS:
        places = list(range(last + 1))
    return [_label(place, last, slot, periods.rows[place][0]) for place in places]


def _label(place: int, last: int, slot: float, label: str) -> Tick:
    if place == 0 and last > 0:
        return Tick(0, label, "start")
    if place == last and last > 0:
        return Tick(100, label, "end")
    return Tick(round(slot * (place + 0.5), 3), label, "middle")
