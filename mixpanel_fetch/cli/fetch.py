"""``mp fetch profiles``."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.output import Output, format_option, log_on_stderr
from mixpanel_fetch.cli.report import show_result
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.sizes import PAGE_SIZE, SIZE
from mixpanel_fetch.cli.threads import quick_switches
from mixpanel_fetch.config import Destination, parse_option
from mixpanel_fetch.errors import ConfigError, FetchInterruptedError
from mixpanel_fetch.model import Mode


@click.group(name="fetch")
def command() -> None:
    """Fetch profiles from Mixpanel into a store of your own."""


@command.command()
@click.argument("name", default="profiles")
@click.option("-p", "--parallel", is_flag=True, help="Fetch several pages at once.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many pages at once with --parallel; Mixpanel serves five, so more are capped.",
)
@click.option("--where", metavar="EXPRESSION", help="Only profiles that match.")
@click.option("--cohort", metavar="ID", help="Only members of a saved cohort.")
@click.option(
    "--output-properties",
    metavar="A,B",
    multiple=True,
    help="Only these properties; repeat it for names that hold a comma.",
)
@click.option("--append", is_flag=True, help="Add to a table that exists; fetched rows win.")
@click.option("--replace", is_flag=True, help="Take the place of the table once all is there.")
@click.option("--merge", is_flag=True, help="As --append, but make a missing table.")
@click.option("--allow-partial", is_flag=True, help="--replace or --merge without failed pages.")
@click.option("--allow-empty", is_flag=True, help="--replace even when no profile matches.")
@click.option(
    "--allow-missing",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Exit with 0 though up to N profiles were announced and never sent.",
)
@click.option("--strict", is_flag=True, help="Publish nothing unless all of it adds up.")
@click.option("--resume", is_flag=True, help="Go on where the table's interrupted run stopped.")
@click.option("--to", "destination", metavar="URI", help="Where to: NAME://LOCATION?option=value.")
@click.option("--strategy", metavar="NAME", help="Fetch by this strategy instead.")
@click.option(
    "--transform",
    "transforms",
    metavar="NAME[:ARG]",
    multiple=True,
    help="Run each page through this; repeatable, in order.",
)
@click.option(
    "--plugin", "plugins", metavar="FILE.py", multiple=True, help="Load a plugin from a file."
)
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of a plugin.")
@click.option(
    "--page-size",
    type=PAGE_SIZE,
    metavar="N|auto",
    help="Ask for pages of N profiles; auto sizes them by page 0, for one more counted query.",
)
@click.option(
    "--page-bytes",
    type=SIZE,
    default="8MiB",
    show_default=True,
    help="What --page-size auto aims at.",
)
@click.option(
    "--max-inflight-bytes",
    type=SIZE,
    default="64MiB",
    show_default=True,
    help="How much may be asked for and not landed yet, all pages together.",
)
@click.option(
    "--max-page-bytes",
    type=SIZE,
    default="256MiB",
    show_default=True,
    help="Refuse a page that is larger.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Rows per INSERT, for sinks that insert.",
)
@click.option(
    "--max-wait",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="Seconds to wait for a quota, in all.",
)
@click.option(
    "--max-concurrency",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Requests under way at once, whatever the strategy; Mixpanel serves five.",
)
@click.option(
    "--shared-quota/--no-shared-quota",
    default=True,
    help="Share that limit and the hour's queries with other processes (the default).",
)
@click.option("--account", metavar="NAME", help="An account of the configuration file.")
@format_option
@click.option("--no-progress", is_flag=True, help="No progress bar.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no warnings.")
@click.option("-v", "--verbose", count=True, help="Say more: -v retries, -vv tracebacks.")
@click.pass_obj
def profiles(output: Output, /, **given: Any) -> int:
    """Fetch user profiles into table NAME.

    Credentials come from MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or from the configuration
    file. Exits with 0 when every page landed, 1 when some did not, 2 when the credentials were
    refused, 3 when an argument is wrong.
    """
    from mixpanel_fetch.workspace import Workspace

    output.form = given["form"] or output.form
    output.verbose = given["verbose"]
    workspace = Workspace(
        given["account"],
        destination=given["destination"],
        plugins=given["plugins"],
        max_wait=given["max_wait"],
        max_concurrency=given["max_concurrency"],
        max_page_bytes=given["max_page_bytes"],
        shared_quota=given["shared_quota"],
    )
    output.stdout_is_taken = Destination.parse(str(workspace.destination)).location == "-"
    if not given["quiet"]:
        for warning in workspace.warnings:
            output.note(f"mp: warning: {warning}")
    with (
        log_on_stderr(given["verbose"], quiet=given["quiet"]),
        quick_switches(),
        StopSignals() as stop,
    ):
        try:
            result = workspace.fetch_profiles(
                given["name"],
                where=given["where"],
                cohort_id=given["cohort"],
                output_properties=_names(given["output_properties"]),
                mode=_mode(given),
                batch_size=given["batch_size"],
                progress=not (given["no_progress"] or given["quiet"]),
                parallel=given["parallel"],
                max_workers=given["workers"],
                cancel=stop.event,
                strategy=given["strategy"],
                transforms=given["transforms"],
                options=dict(map(parse_option, given["options"])),
                page_size=given["page_size"],
                page_bytes=given["page_bytes"],
                max_inflight_bytes=given["max_inflight_bytes"],
                allow_partial=given["allow_partial"],
                allow_empty=given["allow_empty"],
                allow_missing=given["allow_missing"],
                strict=given["strict"],
                resume=given["resume"],
            )
        except FetchInterruptedError as error:
            error.exit_code = stop.exit_code or error.exit_code
            raise
    show_result(output, result)
    return stop.exit_code if result.interrupted and stop.exit_code else result.exit_code


def _mode(given: dict[str, Any]) -> Mode:
    modes: tuple[Mode, ...] = ("append", "replace", "merge")
    chosen = [mode for mode in modes if given[mode]]
    if len(chosen) > 1:
        both = " and ".join(f"--{mode}" for mode in chosen)
        raise ConfigError(f"{both} contradict each other; choose one")
    return chosen[0] if chosen else "create"


def _names(given: tuple[str, ...]) -> list[str] | None:
    """Return the names of one comma-separated text, or of several texts as they stand."""
    if not given:
        return None
    return [name.strip() for name in given[0].split(",")] if len(given) == 1 else list(given)
