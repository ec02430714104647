"""``mp fetch profiles``, and the group that it is in."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.check import run_check
from mixpanel_fetch.cli.column_options import column_options
from mixpanel_fetch.cli.fetch_arguments import keywords_of
from mixpanel_fetch.cli.fetch_cohorts import cohort_members, cohorts
from mixpanel_fetch.cli.fetch_groups import groups
from mixpanel_fetch.cli.fetch_many import many
from mixpanel_fetch.cli.fetch_options import fetch_options, table_argument
from mixpanel_fetch.cli.fetching import columns_flag, dry_run_flag, run_fetch
from mixpanel_fetch.cli.resume_command import ResumableCommand


@click.group(name="fetch")
def command() -> None:
    """Fetch profiles from Mixpanel into a store of your own."""


@command.command(cls=ResumableCommand)
@table_argument("profiles")
@fetch_options
@columns_flag
@column_options
@dry_run_flag
@click.pass_context
def profiles(context: click.Context, /, **given: Any) -> int:
    """Fetch user profiles into table NAME.

    Credentials come from MP_USERNAME, MP_SECRET and MP_PROJECT_ID, or from the configuration
    file. Exits with 0 when every page landed, 1 when some did not, 2 when the credentials were
    refused, 3 when an argument is wrong.
    """
    keywords = keywords_of(given)
    if given.pop("dry_run"):
        return run_check(context.obj, given, keywords)
    return run_fetch(context, given, keywords)


for _other in (groups, cohorts, cohort_members, many):
    command.add_command(_other)
