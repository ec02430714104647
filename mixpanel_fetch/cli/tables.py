"""``mp tables``."""

from __future__ import annotations

from dataclasses import asdict

import click

from mixpanel_fetch.cli.destination import destination_option, opened
from mixpanel_fetch.cli.grid import show_grid
from mixpanel_fetch.cli.output import Output, format_option


@click.command(name="tables")
@destination_option
@format_option
@click.pass_obj
def command(output: Output, /, destination: str | None, form: str | None) -> None:
    """List the tables of a destination, their rows and their columns."""
    output.form = form or output.form
    with opened(destination, "query") as sink:
        tables = sink.ask("tables")
    if output.form == "json":
        output.document(
            [
                {
                    **asdict(table),
                    "columns": [{"name": name, "type": kind} for name, kind in table.columns],
                }
                for table in tables
            ]
        )
    elif tables:
        show_grid(
            output,
            ("NAME", "ROWS", "COLUMNS"),
            [
                (table.name, f"{table.rows:,}", ", ".join(name for name, _ in table.columns))
                for table in tables
            ],
            right={1},
        )
    else:
        output.text(f"no tables in {sink.label} yet; `mp fetch profiles` makes one")
