"""``mp fetch profiles``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.check import run_check
from mixpanel_fetch.cli.column_options import column_options, drift_words, keep
from mixpanel_fetch.cli.destination import opened
from mixpanel_fetch.cli.fetch_arguments import begin, keywords_of
from mixpanel_fetch.cli.fetch_options import fetch_options
from mixpanel_fetch.cli.next_step import next_step
from mixpanel_fetch.cli.output import Output, log_on_stderr
from mixpanel_fetch.cli.report import show_result
from mixpanel_fetch.cli.resume_command import ResumableCommand, resume_command
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.threads import quick_switches
from mixpanel_fetch.cli.watching import Progress, watched
from mixpanel_fetch.errors import DriftError, FetchInterruptedError

if TYPE_CHECKING:
    from mixpanel_fetch.workspace import Workspace


@click.group(name="fetch")
def command() -> None:
    """Fetch profiles from Mixpanel into a store of your own."""


@command.command(cls=ResumableCommand)
@fetch_options
@click.option("--columns", is_flag=True, help="Then show the properties as columns: mp columns.")
@column_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.pass_context
def profiles(context: click.Context, /, **given: Any) -> int:
    """Fetch user profiles into table NAME.

    Credentials come from MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or from the configuration
    file. Exits with 0 when every page landed, 1 when some did not, 2 when the credentials were
    refused, 3 when an argument is wrong.
    """
    output: Output = context.obj
    if given.pop("dry_run"):
        return run_check(output, given)
    workspace = begin(output, given)
    quiet = given["quiet"]
    progress: Progress = "none" if given["no_progress"] else given["progress"]
    with (
        log_on_stderr(output.log, given["verbose"], quiet=quiet),
        watched(output, progress, quiet=quiet) as on_event,
        quick_switches(),
        StopSignals() as stop,
    ):
        try:
            result = workspace.fetch_profiles(
                given["name"],
                progress=False,
                on_event=on_event,
                cancel=stop.event,
                **keywords_of(given),
            )
        except FetchInterruptedError as error:
            error.exit_code = stop.exit_code or error.exit_code
            raise
    drifted = given["columns"] and result.published and _have_drifted(output, workspace, given)
    show_result(output, result, resume_command(context))
    if result.exit_code == 0 and output.form == "text" and output.stream.isatty():
        hint = next_step(result.table, str(workspace.destination), given["destination"])
        if hint is not None:
            output.text(hint, dim=True)
    if result.interrupted and stop.exit_code:
        return stop.exit_code
    return result.exit_code or int(drifted)


def _have_drifted(output: Output, workspace: Workspace, given: dict[str, Any]) -> bool:
    """Bring the columns up to date; say what differs, and return whether that is a failure."""
    try:
        with opened(str(workspace.destination), "columns") as sink:
            words = drift_words(keep(sink, given["name"], given))
    except DriftError as error:
        output.log.say(str(error), level="error")
        return True
    if words is not None:
        output.log.say(words, level="warning")
    return False
