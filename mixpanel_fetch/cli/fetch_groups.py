"""``mp fetch groups``."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.check import run_check
from mixpanel_fetch.cli.column_options import column_options
from mixpanel_fetch.cli.completion.types import TABLE_TO_CHANGE
from mixpanel_fetch.cli.fetch_arguments import keywords_of
from mixpanel_fetch.cli.fetch_options import fetch_options
from mixpanel_fetch.cli.fetching import columns_flag, dry_run_flag, run_fetch
from mixpanel_fetch.cli.resume_command import ResumableCommand


@click.command(cls=ResumableCommand)
@click.argument("group_key", metavar="GROUP_KEY")
@fetch_options
@click.option(
    "--table",
    type=TABLE_TO_CHANGE,
    metavar="NAME",
    help="The table; else one that is called as the group key.",
)
@columns_flag
@column_options
@dry_run_flag
@click.pass_context
def groups(context: click.Context, /, group_key: str, table: str | None, **given: Any) -> int:
    """Fetch the profiles of groups, such as companies, into a table named by their GROUP_KEY.

    The number of the group key (Project Settings, Group Keys) is --group-id, or what the
    configuration file has under [accounts.NAME.groups]: company = "-1405123841946871899".
    Exits as mp fetch profiles does.
    """
    given["name"] = table or group_key
    if given["group_id"] is None:
        given["group_id"] = _number_of(group_key, given["account"])
    keywords = keywords_of(given)
    if given.pop("dry_run"):
        return run_check(context.obj, given, keywords)
    return run_fetch(context, given, keywords)


def _number_of(group_key: str, account: str | None) -> str:
    """Return the number that the configuration file gives ``group_key``. Raises ConfigError."""
    from mixpanel_fetch.config import load_settings

    return load_settings(account).group_id(group_key)
