"""``mp report``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import click

from mixpanel_fetch.cli.completion.types import TABLE
from mixpanel_fetch.cli.destination import destination_option, opened
from mixpanel_fetch.cli.output import Output, format_option


@click.command(name="report")
@click.argument("table", type=TABLE)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    help="The file, else TABLE-report.html; - is stdout.",
)
@destination_option
@click.option(
    "--top",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="How many of the most frequent values of each property.",
)
@click.option("--force", is_flag=True, help="Replace a file that is no report.")
@format_option
@click.pass_obj
def command(output: Output, /, table: str, **given: Any) -> None:
    """Write an HTML page about TABLE: rows over time, properties, type conflicts, fetches.

    The page is one file that needs no network. Frequent values stand in it, so treat it as you
    treat the profiles. A report that is there is replaced, any other file is not.
    """
    from mixpanel_fetch.report.file import ReportFile, default_name

    target = given["target"] or default_name(table)
    output.form = given["form"] or output.form
    output.stdout_is_taken = target == "-"
    file = None if target == "-" else ReportFile(target, force=given["force"])
    page, facts = _page(table, given["destination"], given["top"])
    if file is None:
        click.echo(page.encode())
        return
    size = file.write(page)
    if output.form == "json":
        output.document({**facts, "path": str(file.path), "bytes": size})
        return
    output.text(
        f"{target}: {facts['rows']:,} rows, {facts['properties']:,} properties,"
        f" {size / 1000:,.0f} kB"
    )


def _page(table: str, destination: str | None, top: int) -> tuple[str, dict[str, str | int]]:
    """Return the page, and what to say of it."""
    from mixpanel_fetch.report import render

    with opened(destination, "query") as sink:
        summary = sink.ask("inspect", table, top=top)
        runs = sink.ask("runs") if "resume" in sink.capabilities else ()
        made_at = datetime.now(timezone.utc)
    page = render(summary, runs, destination=sink.label, made_at=made_at)
    return page, {
        "table": summary.table,
        "destination": sink.label,
        "rows": summary.rows,
        "properties": len(summary.properties),
    }
