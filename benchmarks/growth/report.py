"""The results for people: a table, whether memory is flat, and what it says of a hundred million.

``python -m benchmarks.growth.report RESULTS.json`` prints results that are kept already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.point import MILLION, Point
from benchmarks.growth.projects import Standing
from benchmarks.machine import machine_line
from benchmarks.report import aligned, number

MOST_PEAK = 1.2
"""What the peak may be at the largest count, over that at the reference."""

FAR = 100 * MILLION

_HEADINGS = (
    *("sink", "profiles", "wall, s", "CPU, s", "us a profile", "simulator's CPU, s"),
    *("peak, MB", "over reference", "on disk, MB", "bytes a profile"),
)


def lines_of(document: Mapping[str, Any]) -> list[str]:
    """Return everything that results say. Those of a quick look are not judged."""
    points = [Point(**point) for point in document["points"]]
    reference = document["reference"]
    lines = [machine_line(document["machine"])]
    if document["small"]:
        lines.append("small: these figures say that everything runs, and nothing about cost")
    if points:
        lines += ["", table(points, reference), ""]
        if not document["small"]:
            lines += verdicts(points, reference) + outlook(points)
    if document["projects"] is not None:
        lines.append(standing_line(Standing.of(document["projects"])))
    return lines + [f"{name}: left out: {why}" for name, why in document["left_out"].items()]


def table(points: Sequence[Point], reference: int) -> str:
    """Return a line for each fetch; peaks stand beside that at ``reference`` profiles."""
    return aligned([_HEADINGS, *(_row(point, points, reference) for point in points)])


def verdicts(points: Sequence[Point], reference: int) -> list[str]:
    """Return for each sink whether its memory is flat, as a line."""
    lines = []
    for sink in _sinks(points):
        largest = max(_of(sink, points), key=lambda one: one.profiles)
        ratio = peak_ratio(largest, points, reference)
        if ratio is not None and largest.profiles > reference:
            mark = "met" if ratio <= MOST_PEAK else "NOT MET"
            lines.append(
                f"{sink}: peak at {largest.profiles:,} is {ratio:.2f} times that at"
                f" {reference:,} (at most {MOST_PEAK:g}): {mark}"
            )
    return lines


def outlook(points: Sequence[Point]) -> list[str]:
    """Return for each sink what a hundred million would take, by the last two counts."""
    lines = []
    for sink in _sinks(points):
        last = sorted(_of(sink, points), key=lambda one: one.profiles)[-2:]
        if len(last) == 2:
            hours, peak = _ahead(last, "cpu") / 3600, _ahead(last, "peak")
            gigabytes = _ahead(last, "disk") / 1e9
            lines.append(
                f"{sink} at {FAR:,}, going on as from {last[0].profiles:,} to"
                f" {last[1].profiles:,}: {number(hours)} hours of CPU, peak {number(peak)} MB,"
                f" {number(gigabytes)} GB on disk"
            )
    return lines


def standing_line(standing: Standing) -> str:
    """Return what the many projects took, as a line."""
    load = standing.load
    peaks = " and ".join(f"{peak:.0f}" for peak in standing.peaks)
    return (
        f"{load.projects} projects of {load.profiles:,} at {load.latency * 1000:.0f} ms a page:"
        f" {standing.alone:.1f} s one after the other, {standing.wall:.1f} s on"
        f" {load.workers} Dask workers (CPU {standing.cpu:.1f} s, peaks {peaks} MB);"
        f" at most {standing.in_flight} requests of one project at once"
    )


def peak_ratio(point: Point, points: Iterable[Point], reference: int) -> float | None:
    """Return the peak over that of the same sink at ``reference``; None where there is none."""
    base = next((one for one in _of(point.sink, points) if one.profiles == reference), None)
    return None if base is None else point.peak / base.peak


def _row(point: Point, points: Sequence[Point], reference: int) -> tuple[str, ...]:
    ratio = peak_ratio(point, points, reference)
    return (
        point.sink,
        f"{point.profiles:,}",
        number(point.wall),
        number(point.cpu),
        number(point.cpu_per_row),
        number(point.server_cpu),
        number(point.peak),
        "" if ratio is None else f"{ratio:.2f}",
        number(point.disk / 1e6),
        number(point.disk_per_row),
    )


def _sinks(points: Iterable[Point]) -> list[str]:
    return list(dict.fromkeys(point.sink for point in points))


def _of(sink: str, points: Iterable[Point]) -> list[Point]:
    return [point for point in points if point.sink == sink]


def _ahead(last: Sequence[Point], quantity: str) -> float:
    """Return a quantity at FAR, on the line through the last two points."""
    lower, upper = last
    rise = getattr(upper, quantity) - getattr(lower, quantity)
    slope = rise / (upper.profiles - lower.profiles)
    return float(getattr(upper, quantity) + slope * (FAR - upper.profiles))


if __name__ == "__main__":
    kept = Path(sys.argv[1]).read_text(encoding="utf-8")
    print("\n".join(lines_of(json.loads(kept))))
