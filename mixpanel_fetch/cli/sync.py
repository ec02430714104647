"""``mp sync``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.completion.types import FILE
from mixpanel_fetch.cli.output import Output, format_option, log_on_stderr
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.stderr_log import FORMS
from mixpanel_fetch.cli.watching import Progress, watched
from mixpanel_fetch.progress.words import duration

if TYPE_CHECKING:
    from mixpanel_fetch.joboutcome import JobOutcome
    from mixpanel_fetch.jobs import Job


@click.command(name="sync")
@click.argument("file", type=FILE, default="jobs.toml")
@click.option("--only", "names", metavar="NAME", multiple=True, help="Only this job; repeatable.")
@click.option("--force", is_flag=True, help="Run jobs that are not due, too.")
@click.option("--dry-run", is_flag=True, help="Say what is due, and run nothing.")
@format_option
@click.option(
    "--log-format",
    type=click.Choice(FORMS),
    default=FORMS[0],
    show_default=True,
    help="How to write stderr: lines of text, or one JSON object for each event.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A bar where stderr is a terminal, else a line every few seconds; or only lines.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings.")
@click.option("-v", "--verbose", count=True, help="Say more: -v retries and waits, -vv each page.")
@click.pass_obj
def command(output: Output, /, file: str, names: tuple[str, ...], **given: Any) -> int:
    """Run the jobs of FILE that are due, once, one after the other.

    For cron, systemd timers and Airflow, as often as they like: a job that has every = "6h" is due
    when the newest complete run of its table, which the destination remembers, is that old. A job
    that fails keeps no other from running. Two runs of one file do not overlap: the second does
    nothing, and exits with 1.

    Exits with the highest of the jobs' codes: 0 when all that was due is done, 1 when something is
    missing, 2 when credentials were refused, 3 when a job or FILE is wrong; 130 or 143 after a
    signal, which keeps the jobs after the current one from running.
    """
    from mixpanel_fetch.jobrun import only_run, refuse_clashes, standing_of
    from mixpanel_fetch.jobs import chosen_jobs, read_jobs

    output.form = given["form"] or output.form
    output.log.form = given["log_format"]
    output.verbose = given["verbose"]
    every = read_jobs(file)
    refuse_clashes(every, Path(file))
    jobs = chosen_jobs(every, names)
    with (
        log_on_stderr(output.log, given["verbose"], quiet=given["quiet"]),
        StopSignals() as stop,
    ):
        if given["dry_run"]:
            return _show(output, _each(jobs, standing_of))
        with only_run(Path(file)):
            code = _show(output, _run_all(output, jobs, given, stop))
    return stop.exit_code or code


def _run_all(
    output: Output, jobs: Sequence[Job], given: dict[str, Any], stop: StopSignals
) -> Iterator[JobOutcome]:
    from mixpanel_fetch.joboutcome import JobOutcome
    from mixpanel_fetch.jobrun import run_job

    progress: Progress = given["progress"]

    def run(job: Job) -> JobOutcome:
        if stop.event.is_set():
            return JobOutcome(job.name, job.table, "not run", "stopped by a signal")
        with watched(output, progress, quiet=given["quiet"]) as on_event:
            return run_job(job, force=given["force"], cancel=stop.event, on_event=on_event)

    return _each(jobs, run)


def _each(jobs: Sequence[Job], function: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
    from mixpanel_fetch.joboutcome import failed

    for job in jobs:
        try:
            yield function(job)
        except Exception as error:  # noqa: BLE001  (the other jobs must be looked at)
            yield failed(job, error)


def _show(output: Output, outcomes: Iterator[JobOutcome]) -> int:
    """Write a line for each job as it ends, or one document; return the highest exit code."""
    shown, code = [], 0
    for outcome in outcomes:
        code = max(code, outcome.exit_code)
        shown.append(outcome.to_dict())
        if output.form == "text":
            output.text(_line(outcome))
    if output.form == "json":
        output.document({"exit_code": code, "jobs": shown})
    return code


def _line(outcome: JobOutcome) -> str:
    parts = [outcome.words] if outcome.words else []
    if outcome.result is not None:
        parts.append(duration(outcome.result.duration_seconds))
    elif outcome.last_run is not None:
        parts.append(f"last complete {_when(outcome.last_run)}")
        if outcome.due_at is not None:
            parts.append(f"due {_when(outcome.due_at)}")
    return f"{outcome.job}: {outcome.status}: {'; '.join(parts)}"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
