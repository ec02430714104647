"""The results as a picture: ratios against their floors, and memory over profiles.

``python -m benchmarks.plot RESULTS.json PICTURE.png`` draws results that are kept already.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import machine_line

_WIDTH, _DPI = 8.0, 100  # inches and dots per inch: 800 pixels
_BAR, _LIMIT, _FLOOR = "#4c78a8", "#d62728", "#555555"


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write a PNG, 800 pixels wide. What was not measured is left out."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figures = document["figures"]
    ratios = [one for one in figures if _is_judged_ratio(one)]
    peaks = [one for one in figures if one["name"].startswith("memory/narrow/")]
    panels = [
        (draw_panel, shown, height)
        for draw_panel, shown, height in (
            (_draw_ratios, ratios, 0.42 * len(ratios) + 0.9),
            (_draw_peaks, peaks, 2.6),
        )
        if shown
    ]
    heights = [height for *_, height in panels] or [1.0]
    picture, axes = pyplot.subplots(
        len(heights),
        figsize=(_WIDTH, sum(heights) + 0.7),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for (draw_panel, shown, _), place in zip(panels, axes.flat, strict=False):
        draw_panel(place, shown)
    picture.suptitle("mixpanel-fetch beside its floors", fontsize=13)
    picture.supxlabel(_caption(document), fontsize=7.5, color=_FLOOR)
    picture.savefig(path, dpi=_DPI, metadata={"Software": None})
    pyplot.close(picture)


def _is_judged_ratio(figure: Mapping[str, Any]) -> bool:
    judged = figure["judged"] == "ratio" and figure["target"] is not None
    return judged and figure["case"] != "memory"


def _draw_ratios(axes: Any, figures: Sequence[Mapping[str, Any]]) -> None:
    places = range(len(figures))
    middles = [median(figure["ratios"]) for figure in figures]
    below = [middle - min(one["ratios"]) for middle, one in zip(middles, figures, strict=True)]
    above = [max(one["ratios"]) - middle for middle, one in zip(middles, figures, strict=True)]
    axes.barh(places, middles, color=_BAR, height=0.6)
    axes.errorbar(middles, places, xerr=[below, above], fmt="none", ecolor="black", capsize=3)
    axes.axvline(1.0, color=_FLOOR, linewidth=1)
    for place, figure, middle in zip(places, figures, middles, strict=True):
        limit = figure["target"]
        axes.plot([limit, limit], [place - 0.4, place + 0.4], color=_LIMIT, linewidth=2)
        axes.annotate(
            f"{middle:.2f}",
            (0, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color="white",
            fontsize=8,
        )
    axes.set_yticks(places, [f"{figure['what']}\nover {figure['floor']}" for figure in figures])
    axes.tick_params(axis="y", labelsize=7.5)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("times the floor (line at 1: the floor; red: at most), median and range")


def _draw_peaks(axes: Any, figures: Sequence[Mapping[str, Any]]) -> None:
    counts = [int(figure["name"].rpartition("/")[2]) for figure in figures]
    peaks = [median(figure["samples"]) for figure in figures]
    axes.plot(counts, peaks, marker="o", color=_BAR)
    for count, peak in zip(counts, peaks, strict=True):
        axes.annotate(
            f"{peak:.0f}", (count, peak), xytext=(0, 6), textcoords="offset points", ha="center"
        )
    axes.axhline(400, color=_LIMIT, linewidth=1)
    axes.set_ylim(0, max([440, *(peak * 1.2 for peak in peaks)]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("narrow profiles (red: at most 400 MB at 1,000,000)")
    axes.set_ylabel("peak memory, MB")


def _caption(document: Mapping[str, Any]) -> str:
    return f"{document['recorded']}; {machine_line(document['machine'])}"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text(encoding="utf-8")), target)
