"""``python -m benchmarks``: measure, print the table, keep the results where asked."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from benchmarks import ROOT
from benchmarks.cases import CASES
from benchmarks.machine import machine, machine_line
from benchmarks.outcome import Outcome
from benchmarks.report import table
from benchmarks.runner import run_case
from benchmarks.scale import FULL, SMALL

_RESULTS = ROOT / "benchmarks" / "results.json"
_PLOT = ROOT / "benchmarks" / "results.png"
_NOTE_WIDTH = 100
_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.option("--runs", type=click.IntRange(1, 50), help="How often each case; else 5, or 1.")
@click.option("--only", type=click.Choice(sorted(CASES)), multiple=True, help="Repeatable.")
@click.option("--small", is_flag=True, help="Few and little, to see that everything runs.")
@click.option("--json", "results", type=_FILE, help="Write the results there.")
@click.option("--plot", type=_FILE, help="Draw the results there, as PNG; needs matplotlib.")
@click.option("--save", is_flag=True, help="Keep both as benchmarks/results.json and .png.")
def main(
    *,
    runs: int | None,
    only: tuple[str, ...],
    small: bool,
    results: Path | None,
    plot: Path | None,
    save: bool,
) -> None:
    """Measure mixpanel-fetch against floors that are measured in the same run.

    Exits with 0 whether targets are met or not: the table says which.
    """
    pictures = [path for path in (plot, _PLOT if save else None) if path]
    if pictures and importlib.util.find_spec("matplotlib") is None:
        raise click.UsageError("--plot and --save need matplotlib")
    scale = SMALL if small else FULL
    cases = [case for name, case in CASES.items() if not only or name in only]
    outcomes = [outcome for case in cases for outcome in run_case(case, scale, runs or scale.runs)]
    described = machine()
    click.echo(machine_line(described))
    if small:
        click.echo("small: these figures say that everything runs, and nothing about speed")
    click.echo()
    click.echo(table(outcomes, verdicts=not small))
    click.echo()
    for note in (note for case in cases for note in case.notes):
        click.echo(click.wrap_text(note, _NOTE_WIDTH))
    document = _document(described, outcomes, small=small)
    for path in filter(None, (results, _RESULTS if save else None)):
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    # Drawing comes last: matplotlib would make this process too large to measure others from.
    for path in pictures:
        from benchmarks.plot import draw

        draw(document, path)


def _document(
    described: dict[str, str | int], outcomes: Sequence[Outcome], *, small: bool
) -> dict[str, Any]:
    return {
        "recorded": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "small": small,
        "machine": described,
        "figures": [outcome.document() for outcome in outcomes],
    }


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
