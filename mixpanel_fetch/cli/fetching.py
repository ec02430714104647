"""A fetch from the command line: watched, stopped by signals, shown in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.column_options import drift_words, keep
from mixpanel_fetch.cli.destination import opened
from mixpanel_fetch.cli.fetch_arguments import begin
from mixpanel_fetch.cli.next_step import next_step
from mixpanel_fetch.cli.output import Output, log_on_stderr
from mixpanel_fetch.cli.report import show_result
from mixpanel_fetch.cli.resume_command import resume_command
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.threads import quick_switches
from mixpanel_fetch.cli.watching import Progress, watched
from mixpanel_fetch.errors import DriftError, FetchInterruptedError
from mixpanel_fetch.events import Event, Listener, RunOpened

if TYPE_CHECKING:
    from mixpanel_fetch.workspace import Workspace

columns_flag = click.option(
    "--columns", is_flag=True, help="Then show the properties as columns: mp columns."
)
dry_run_flag = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and write nothing."
)


def run_fetch(
    context: click.Context,
    given: dict[str, Any],
    keywords: dict[str, Any],
    *,
    noun: str = "profiles",
    opening: Callable[[RunOpened], str] | None = None,
) -> int:
    """Fetch into table ``given["name"]`` with ``keywords``, show the result, return the exit code.

    ``context`` is that of a ResumableCommand, ``noun`` what a row stands for, ``opening`` what to
    say once it is known how many pages there are.
    """
    output: Output = context.obj
    workspace = begin(output, given)
    quiet = given["quiet"]
    progress: Progress = "none" if given["no_progress"] else given["progress"]
    with (
        log_on_stderr(output.log, given["verbose"], quiet=quiet),
        watched(output, progress, quiet=quiet) as watcher,
        quick_switches(),
        StopSignals() as stop,
    ):
        on_event = watcher if opening is None or quiet else partial(_told, output, opening, watcher)
        try:
            result = workspace.fetch_profiles(
                given["name"], progress=False, on_event=on_event, cancel=stop.event, **keywords
            )
        except FetchInterruptedError as error:
            error.exit_code = stop.exit_code or error.exit_code
            raise
    drifted = given["columns"] and result.published and _have_drifted(output, workspace, given)
    show_result(output, result, resume_command(context), noun=noun)
    if result.exit_code == 0 and output.form == "text" and output.stream.isatty():
        hint = next_step(result.table, str(workspace.destination), given["destination"])
        if hint is not None:
            output.text(hint, dim=True)
    if result.interrupted and stop.exit_code:
        return stop.exit_code
    return result.exit_code or int(drifted)


def _told(
    output: Output, opening: Callable[[RunOpened], str], watcher: Listener, event: Event
) -> None:
    watcher(event)
    if isinstance(event, RunOpened):
        output.log.say(opening(event))


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
