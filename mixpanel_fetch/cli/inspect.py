"""``mp inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.completion.types import TABLE
from mixpanel_fetch.cli.destination import destination_option, opened
from mixpanel_fetch.cli.inspection import chosen, show_details, show_overview
from mixpanel_fetch.cli.output import Output, format_option

if TYPE_CHECKING:
    from mixpanel_fetch.reading import PropertySummary, TableSummary


@click.command(name="inspect")
@click.argument("table", type=TABLE)
@destination_option
@format_option
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="How many of the most frequent values.",
)
@click.option(
    "--property",
    "names",
    metavar="NAME",
    multiple=True,
    help="Only this property, with the counts of its values; may be repeated.",
)
@click.option("--match", metavar="PATTERN", help="Only properties of such names: plan*, *date*.")
@click.option("--all", "show_all", is_flag=True, help="Show every property on a terminal, too.")
@click.pass_obj
def command(
    output: Output,
    /,
    *,
    table: str,
    destination: str | None,
    form: str | None,
    top: int,
    names: tuple[str, ...],
    match: str | None,
    show_all: bool,
) -> None:
    """Say what is in TABLE: each property, its coverage, types, different values and examples.

    Coverage is the share of rows that have the property. A ! stands before types in conflict.
    """
    output.form = form or output.form
    with opened(destination, "query") as sink:
        summary: TableSummary = sink.ask("inspect", table, top=top)
    properties = chosen(summary, names, match)
    if output.form == "json":
        output.document(_document(summary, properties))
    elif names:
        show_details(output, summary, properties)
    else:
        show_overview(output, summary, properties, whole=show_all)


def _document(summary: TableSummary, properties: list[PropertySummary]) -> dict[str, Any]:
    return {
        "table": summary.table,
        "rows": summary.rows,
        "never_seen": summary.never_seen,
        "days": [{"day": day.isoformat(), "rows": rows} for day, rows in summary.days],
        "properties": [
            {
                "name": one.name,
                "present": one.present,
                "coverage": round(one.present / summary.rows, 6),
                "types": dict(one.types),
                "conflict": one.conflict,
                "distinct": one.distinct,
                "distinct_is_exact": one.distinct_is_exact,
                "top": [{"value": value, "rows": rows} for value, rows in one.top],
            }
            for one in properties
        ],
    }
