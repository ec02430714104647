"""``mp sync``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.job_lines import exit_code_of, show
from mixpanel_fetch.cli.job_options import file_argument, heed, jobs_of, only_option, output_options
from mixpanel_fetch.cli.output import Output, log_on_stderr
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.watching import Progress, watched

if TYPE_CHECKING:
    from mixpanel_fetch.joboutcome import JobOutcome
    from mixpanel_fetch.jobs import Job


@click.command(name="sync")
@file_argument
@only_option
@click.option("--force", is_flag=True, help="Run jobs that are not due, too.")
@click.option("--dry-run", is_flag=True, help="Say what is due, and run nothing.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A bar where stderr is a terminal, else a line every few seconds; or only lines.",
)
@output_options("-v retries and waits, -vv each page")
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
    from mixpanel_fetch.jobrun import only_run, standing_of

    heed(output, given)
    jobs = jobs_of(file, names)
    with (
        log_on_stderr(output.log, given["verbose"], quiet=given["quiet"]),
        StopSignals() as stop,
    ):
        if given["dry_run"]:
            return exit_code_of(show(output, _each(jobs, standing_of)))
        with only_run(Path(file)):
            shown = show(output, _run_all(output, jobs, given, stop))
    return stop.exit_code or exit_code_of(shown)


def _run_all(
    output: Output, jobs: Sequence[Job], given: dict[str, Any], stop: StopSignals
) -> Iterator[JobOutcome]:
    from mixpanel_fetch.joboutcome import not_run
    from mixpanel_fetch.jobrun import run_job

    progress: Progress = given["progress"]

    def run(job: Job) -> JobOutcome:
        if stop.event.is_set():
            return not_run(job)
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
