"""What commands that run the jobs of a file may be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mixpanel_fetch.cli.completion.types import FILE
from mixpanel_fetch.cli.output import Output, format_option, log_format_option, quiet_option

if TYPE_CHECKING:
    from mixpanel_fetch.jobs import Job

F = TypeVar("F", bound=Callable[..., Any])

file_argument = click.argument("file", type=FILE, default="jobs.toml")
only_option = click.option(
    "--only", "names", metavar="NAME", multiple=True, help="Only this job; repeatable."
)


def output_options(verbosely: str) -> Callable[[F], F]:
    """Return what gives a command the options that say what it writes, as keywords.

    ``verbosely``: what more ``-v`` says.
    """
    verbose = click.option("-v", "--verbose", count=True, help=f"Say more: {verbosely}.")

    def give(function: F) -> F:
        return format_option(log_format_option(quiet_option(verbose(function))))

    return give


def heed(output: Output, given: dict[str, Any]) -> None:
    """Let ``output`` be as the options of :func:`output_options` say."""
    output.form = given["form"] or output.form
    output.log.form = given["log_format"]
    output.verbose = given["verbose"]


def jobs_of(file: str, names: tuple[str, ...]) -> list[Job]:
    """Return the jobs of ``file`` that are called ``names``; all where there are none.

    Raises ConfigError, for jobs that are not asked for too.
    """
    from mixpanel_fetch.jobrun import refuse_clashes
    from mixpanel_fetch.jobs import chosen_jobs, read_jobs

    every = read_jobs(file)
    refuse_clashes(every, Path(file))
    return chosen_jobs(every, names)
