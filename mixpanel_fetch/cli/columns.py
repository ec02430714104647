"""``mp columns``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from mixpanel_fetch.cli.column_options import column_options, drift_words, keep
from mixpanel_fetch.cli.completion.types import TABLE
from mixpanel_fetch.cli.destination import destination_option, opened
from mixpanel_fetch.cli.grid import show_grid
from mixpanel_fetch.cli.output import Output, format_option


@click.command(name="columns")
@click.argument("table", type=TABLE)
@click.option("--view", metavar="NAME", help="The view to make; else TABLE_columns.")
@column_options
@destination_option
@format_option
@click.pass_obj
def command(
    output: Output, /, table: str, destination: str | None, form: str | None, **given: Any
) -> None:
    """Show the properties in TABLE as typed columns of a view.

    The table stays as it is. Names and types are kept in a schema file, so that they stay the same
    from run to run; what differs from it later is told.
    """
    output.form = form or output.form
    with opened(destination, "columns") as sink:
        report = keep(sink, table, given)
    if output.form == "json":
        output.document(asdict(report))
    else:
        output.text(f"{report.view} shows {len(report.columns):,} properties of {table}", bold=True)
        rows = [
            (each.name, each.type + (" (types differ)" if each.conflict else ""), each.property)
            for each in report.columns
        ]
        show_grid(output, ("COLUMN", "TYPE", "PROPERTY"), rows)
    words = drift_words(report)
    if words is not None:
        output.log.say(words, level="warning")
