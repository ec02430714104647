"""The cost as a picture: CPU, peak memory and disk over profiles.

``python -m benchmarks.growth.plot RESULTS.json PICTURE.png`` draws results that are kept already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.point import MILLION
from benchmarks.machine import machine_line

_SIZE, _DPI = (8.0, 3.2), 100  # inches and dots per inch: 800 pixels
_COLOURS = {"duckdb": "#4c78a8", "delta": "#f58518"}
_LIMIT, _CAPTION = "#d62728", "#555555"
_PANELS = (("cpu", 1.0, "CPU, s"), ("peak", 1.0, "peak memory, MB"), ("disk", 1e6, "on disk, MB"))


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write a PNG, 800 pixels wide."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    points = document["points"]
    picture, axes = pyplot.subplots(1, len(_PANELS), figsize=_SIZE, layout="constrained")
    for place, (quantity, unit, label) in zip(axes, _PANELS, strict=True):
        for sink in dict.fromkeys(point["sink"] for point in points):
            of_sink = [point for point in points if point["sink"] == sink]
            _line(place, sink, of_sink, quantity, unit)
        place.set_title(label, fontsize=10)
        place.set_xlabel("million profiles", fontsize=9)
        place.set_xlim(left=0)
    axes[0].legend(frameon=False, fontsize=9)
    picture.suptitle("mixpanel-fetch, cost as the work grows", fontsize=12)
    picture.supxlabel(
        f"{document['recorded']}; {machine_line(document['machine'])}\n"
        "dotted: 1.2 times the peak at a million profiles",
        fontsize=7,
        color=_CAPTION,
    )
    _limits(axes[1], points, document["reference"])
    for place in axes:
        place.set_ylim(0, place.get_ylim()[1] * 1.1)  # room for the last figure
    picture.savefig(path, dpi=_DPI, metadata={"Software": None})
    pyplot.close(picture)


def _line(
    axes: Any, sink: str, points: Sequence[Mapping[str, Any]], quantity: str, unit: float
) -> None:
    counts = [point["profiles"] / MILLION for point in points]
    values = [point[quantity] / unit for point in points]
    axes.plot(counts, values, marker="o", markersize=4, color=_COLOURS.get(sink), label=sink)
    axes.annotate(
        f"{values[-1]:,.0f}",
        (counts[-1], values[-1]),
        xytext=(0, 5),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )


def _limits(axes: Any, points: Sequence[Mapping[str, Any]], reference: int) -> None:
    for point in points:
        if point["profiles"] == reference:
            axes.axhline(
                1.2 * point["peak"], color=_COLOURS.get(point["sink"]), linestyle=":", linewidth=1
            )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8")), target)
