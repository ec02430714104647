"""``mp fetch many``."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.completion.types import EXECUTOR, FILE
from mixpanel_fetch.cli.job_lines import exit_code_of, line_of, show, summary_of
from mixpanel_fetch.cli.job_options import file_argument, heed, jobs_of, only_option, output_options
from mixpanel_fetch.cli.output import Output, log_on_stderr
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.config import parse_option
from mixpanel_fetch.jobqueue import DEFAULT_JOBS

if TYPE_CHECKING:
    from mixpanel_fetch.joboutcome import JobOutcome
    from mixpanel_fetch.jobs import Job


@click.command(name="many")
@file_argument
@only_option
@click.option("--due", is_flag=True, help="Only jobs that are due, as mp sync.")
@click.option(
    "--jobs",
    "most",
    type=click.IntRange(min=1),
    default=DEFAULT_JOBS,
    show_default=True,
    help="How many jobs at once.",
)
@click.option(
    "--executor",
    type=EXECUTOR,
    metavar="NAME",
    default="threads",
    show_default=True,
    help="Where they run: threads, processes, or what a plugin brings.",
)
@click.option(
    "-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of the executor."
)
@click.option(
    "--plugin",
    "plugins",
    type=FILE,
    metavar="FILE.py",
    multiple=True,
    help="Load an executor from a file. Plugins of jobs are named in FILE.",
)
@output_options("-v retries and waits, -vv tracebacks")
@click.pass_obj
def many(output: Output, /, file: str, names: tuple[str, ...], **given: Any) -> int:
    """Run the jobs of FILE now, several at once.

    FILE is what `mp sync` reads. Two jobs of one project never run side by side, because Mixpanel's
    quotas are per project; nor do two into one destination, unless its sink claims concurrent, and
    a DuckDB file does not. Jobs behind them overtake them. A job that fails stops no other.

    Exits as `mp sync`, with the highest of the jobs' codes. A signal lets no other job begin and
    suspends those that run.
    """
    from mixpanel_fetch.assembly import Assembler
    from mixpanel_fetch.config import load_settings
    from mixpanel_fetch.jobrun import only_run
    from mixpanel_fetch.many import fetch_many
    from mixpanel_fetch.plugins import PluginHost

    heed(output, given)
    jobs = jobs_of(file, names)
    options = dict(map(parse_option, given["options"]))
    host = PluginHost(given["plugins"]) if given["plugins"] else None
    assembler = Assembler(host, load_settings())
    seen = _Seen(output, quiet=given["quiet"])
    began = time.monotonic()
    with (
        log_on_stderr(output.log, given["verbose"], quiet=given["quiet"]),
        StopSignals() as stop,
        only_run(Path(file)),
        assembler.executor(given["executor"], given["most"], options) as executor,
        closing(
            fetch_many(
                jobs,
                executor,
                max_jobs=given["most"],
                only_due=given["due"],
                cancel=stop.event,
                on_start=seen.started,
            )
        ) as outcomes,
    ):
        shown = show(output, map(seen.ended, outcomes))
        if output.form == "text":
            output.text(summary_of(shown, time.monotonic() - began))
    return stop.exit_code or exit_code_of(shown)


class _Seen:
    """Says on stderr when jobs begin, and when they end where stdout does not say so at once."""

    def __init__(self, output: Output, *, quiet: bool) -> None:
        self._log = output.log
        self._tells_start = not quiet
        self._tells_end = not quiet and "json" in {output.form, output.log.form}

    def started(self, job: Job) -> None:
        """Say that ``job`` began."""
        if self._tells_start:
            self._log.say(f"job {job.name}: started", event="job_started", job=job.name)

    def ended(self, outcome: JobOutcome) -> JobOutcome:
        """Say what became of a job; returns ``outcome``."""
        if self._tells_end:
            self._log.say(
                f"job {line_of(outcome)}",
                level="warning" if outcome.exit_code else "info",
                event="job_ended",
                job=outcome.job,
                status=outcome.status,
            )
        return outcome
