"""``python -m benchmarks.growth``: measure, print the tables, keep the results where asked."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from benchmarks import ROOT
from benchmarks.growth.amounts import FULL, SMALL, Amounts
from benchmarks.growth.report import lines_of
from benchmarks.growth.session import Session
from benchmarks.growth.sinks import SINKS
from benchmarks.machine import machine

_RESULTS = ROOT / "benchmarks" / "growth.json"
_PLOT = ROOT / "benchmarks" / "growth.png"
_PROJECTS = "projects"
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.option("--only", type=click.Choice([*SINKS, _PROJECTS]), multiple=True, help="Repeatable.")
@click.option("--most", type=click.IntRange(min=1), help="Leave out larger counts of profiles.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="What is not done by then is given up, and said.",
)
@click.option("--small", is_flag=True, help="Few and little, to see that everything runs.")
@click.option("--json", "results", type=_FILE, help="Write the results there.")
@click.option("--plot", type=_FILE, help="Draw the results there, as PNG; needs matplotlib.")
@click.option("--save", is_flag=True, help="Keep both as benchmarks/growth.json and .png.")
def main(
    *,
    only: tuple[str, ...],
    most: int | None,
    minutes: float,
    small: bool,
    results: Path | None,
    plot: Path | None,
    save: bool,
) -> None:
    """Measure what fetches cost as the work grows: up to ten million profiles, fifty projects.

    Files go into the folder for temporary ones (TMPDIR) and are removed. Exits with 0 whether
    memory is flat or not: the lines below the table say so.
    """
    pictures = [path for path in (plot, _PLOT if save else None) if path]
    if pictures and importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError("--plot and --save need matplotlib")
    amounts = SMALL if small else FULL
    with tempfile.TemporaryDirectory(prefix="mixpanel-fetch-growth-") as name:
        session = Session(Path(name), time.monotonic() + minutes * 60)
        for sink in SINKS.values():
            if not only or sink.name in only:
                session.measure_sink(
                    sink, [one for one in amounts.profiles if one <= (most or one)]
                )
        if not only or _PROJECTS in only:
            session.measure_projects(amounts)
    document = _document(session, amounts, small=small)
    click.echo("\n".join(lines_of(document)))
    for path in filter(None, (results, _RESULTS if save else None)):
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    # Drawing comes last: matplotlib would make this process too large to measure others from.
    for path in pictures:
        from benchmarks.growth.plot import draw

        draw(document, path)


def _document(session: Session, amounts: Amounts, *, small: bool) -> dict[str, Any]:
    standing = session.standing
    return {
        "recorded": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "small": small,
        "machine": machine(),
        "reference": amounts.reference,
        "points": [point.document() for point in session.points],
        "projects": None if standing is None else standing.document(),
        "left_out": session.left_out,
    }


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.growth")
