"""``mp runs``."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.completion.types import RUN_ID
from mixpanel_fetch.cli.destination import destination_option, opened
from mixpanel_fetch.cli.output import Output, format_option

_SHOWN = 10  # missing pages listed one by one


@click.group(name="runs", invoke_without_command=True)
@destination_option
@format_option
@click.pass_context
def command(context: click.Context, /, destination: str | None, form: str | None) -> None:
    """List the runs that a destination remembers, the newest first."""
    if context.invoked_subcommand is not None:
        return
    output: Output = context.obj
    output.form = form or output.form
    with opened(destination, "resume") as sink:
        rows = [_row(record) for record in sink.ask("runs")]
    if output.form == "json":
        output.document(rows)
        return
    for row in rows:
        output.text(_line(row))
    if not rows:
        output.text("no runs yet")


@command.command()
@click.argument("run_id", type=RUN_ID)
@destination_option
@click.pass_obj
def discard(output: Output, /, run_id: str, destination: str | None) -> None:
    """Drop what the interrupted run RUN_ID has landed; what it published stays."""
    with opened(destination, "resume") as sink:
        sink.ask("discard", run_id)
    output.note(f"mp: run {run_id} is dropped")


def _row(record: Any) -> dict[str, Any]:
    info = record.info
    return {
        "run_id": info.run_id,
        "table": info.table,
        "mode": info.mode,
        "status": record.status,
        "started_at": info.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "total_pages": info.total_pages,
        "page_size": info.page_size,
        "landed_pages": len(record.landed_pages),
        "missing_pages": [] if record.status == "aborted" else list(record.missing_pages),
        "total_rows": record.total_rows,
    }


def _line(row: dict[str, Any]) -> str:
    missing = row["missing_pages"]
    what = f"{row['landed_pages']:,} of {row['total_pages']:,} pages"
    if row["status"] == "complete":
        what = f"{row['total_rows'] or 0:,} profiles"
    elif missing:
        listed = ", ".join(map(str, missing[:_SHOWN]))
        what += f", missing {listed}" + (" ..." if len(missing) > _SHOWN else "")
    return f"{row['started_at']}  {row['run_id']}  {row['table']}  {row['status']}  {what}"
