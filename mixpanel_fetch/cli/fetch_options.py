"""What ``mp fetch`` and ``mp check`` may be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mixpanel_fetch.cli.completion.types import (
    ACCOUNT,
    DESTINATION,
    FILE,
    STRATEGY,
    TABLE_TO_CHANGE,
    TRANSFORM,
)
from mixpanel_fetch.cli.output import format_option, log_format_option, quiet_option
from mixpanel_fetch.cli.query_options import QUERY_OPTIONS, workspace_option
from mixpanel_fetch.cli.sizes import PAGE_SIZE, SIZE
from mixpanel_fetch.cli.sync_options import SYNC_OPTIONS
from mixpanel_fetch.config import parse_option

F = TypeVar("F", bound=Callable[..., Any])

_Options = tuple[Callable[[Any], Any], ...]

_SPEED: _Options = (
    click.option("-p", "--parallel", is_flag=True, help="Fetch several pages at once."),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=5,
        show_default=True,
        help="How many pages at once with --parallel; Mixpanel serves five, so more are capped.",
    ),
)
_MODES: _Options = (
    click.option("--append", is_flag=True, help="Add to a table that exists; fetched rows win."),
    click.option("--replace", is_flag=True, help="Take the place of the table once all is there."),
    click.option("--merge", is_flag=True, help="As --append, but make a missing table."),
    click.option(
        "--allow-partial", is_flag=True, help="--replace or --merge without failed pages."
    ),
)
_LANDING: _Options = (
    click.option("--allow-empty", is_flag=True, help="--replace even when no profile matches."),
    click.option(
        "--allow-missing",
        type=click.IntRange(min=0),
        metavar="N",
        default=0,
        help="Exit with 0 though up to N profiles were announced and never sent.",
    ),
    click.option("--strict", is_flag=True, help="Publish nothing unless all of it adds up."),
    click.option("--resume", is_flag=True, help="Go on where the table's interrupted run stopped."),
    click.option(
        "--to",
        "destination",
        type=DESTINATION,
        metavar="URI",
        help="Where to: NAME://LOCATION?option=value.",
    ),
    click.option(
        "--strategy", type=STRATEGY, metavar="NAME", help="Fetch by this strategy instead."
    ),
    click.option(
        "--transform",
        "transforms",
        type=TRANSFORM,
        metavar="NAME[:ARG]",
        multiple=True,
        help="Run each page through this; repeatable, in order.",
    ),
    click.option(
        "--plugin",
        "plugins",
        type=FILE,
        metavar="FILE.py",
        multiple=True,
        help="Load a plugin from a file.",
    ),
    click.option(
        "-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of a plugin."
    ),
    click.option(
        "--raw", is_flag=True, help="Rows in Mixpanel's own shape, as -o raw=true: jsonl can."
    ),
    click.option(
        "--page-size",
        type=PAGE_SIZE,
        metavar="N|auto",
        help="Ask for pages of N profiles; auto sizes them by page 0, for one more counted query.",
    ),
    click.option(
        "--page-bytes",
        type=SIZE,
        default="8MiB",
        show_default=True,
        help="What --page-size auto aims at.",
    ),
    click.option(
        "--max-inflight-bytes",
        type=SIZE,
        default="64MiB",
        show_default=True,
        help="How much may be asked for and not landed yet, all pages together.",
    ),
    click.option(
        "--max-page-bytes",
        type=SIZE,
        default="256MiB",
        show_default=True,
        help="Refuse a page that is larger.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        help="Rows per INSERT, for sinks that insert.",
    ),
    click.option(
        "--max-wait",
        type=click.FloatRange(min=0),
        default=120.0,
        show_default=True,
        help="Seconds to wait for a quota, in all.",
    ),
    click.option(
        "--max-concurrency",
        type=click.IntRange(min=1),
        default=5,
        show_default=True,
        help="Requests under way at once, whatever the strategy; Mixpanel serves five.",
    ),
    click.option(
        "--shared-quota/--no-shared-quota",
        default=True,
        help="Share that limit and the hour's queries with other processes (the default).",
    ),
    click.option(
        "--account", type=ACCOUNT, metavar="NAME", help="An account of the configuration file."
    ),
    format_option,
    log_format_option,
    click.option(
        "--progress",
        type=click.Choice(["auto", "plain", "none"]),
        default="auto",
        show_default=True,
        help="A bar where stderr is a terminal, else a line every few seconds; or only lines.",
    ),
    click.option("--no-progress", is_flag=True, help="The same as --progress none."),
    quiet_option,
    click.option(
        "-v",
        "--verbose",
        count=True,
        help="Say more: -v retries and waits, -vv each page, and tracebacks.",
    ),
)


def fetch_options(function: F) -> F:
    """Give a command every option of a fetch of profiles, as keywords."""
    return _with(function, (*_SPEED, *QUERY_OPTIONS, *_MODES, *SYNC_OPTIONS, *_LANDING))


def landing_options(function: F) -> F:
    """Give a command the options of a fetch that are not about profiles, as keywords."""
    return _with(function, (*_SPEED, workspace_option, *_MODES, *_LANDING))


def table_argument(default: str) -> Callable[[F], F]:
    """Return what gives a command the table's name, as ``name``."""
    return click.argument("name", type=TABLE_TO_CHANGE, default=default)


def plugin_options(given: dict[str, Any]) -> dict[str, str]:
    """Return the options of plugins among what the command was given. Raises PluginError."""
    options = dict(map(parse_option, given["options"]))
    return {"raw": "true"} | options if given["raw"] else options


def _with(function: F, options: _Options) -> F:
    for option in reversed(options):
        function = option(function)
    return function
