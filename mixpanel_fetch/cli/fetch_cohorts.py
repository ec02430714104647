"""``mp fetch cohorts`` and ``mp fetch cohort-members``."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.check import run_check
from mixpanel_fetch.cli.column_options import column_options
from mixpanel_fetch.cli.fetch_arguments import landing_keywords
from mixpanel_fetch.cli.fetch_options import landing_options, table_argument
from mixpanel_fetch.cli.fetching import columns_flag, dry_run_flag, run_fetch
from mixpanel_fetch.cli.resume_command import ResumableCommand
from mixpanel_fetch.events import RunOpened


@click.command(cls=ResumableCommand)
@table_argument("cohorts")
@landing_options
@columns_flag
@column_options
@dry_run_flag
@click.pass_context
def cohorts(context: click.Context, /, **given: Any) -> int:
    """List the project's saved cohorts in table NAME, for one counted query.

    A row is a cohort: its id is distinct_id; name, count, description, created and is_visible are
    its properties. A table that is there is replaced. Exits as mp fetch profiles does.
    """
    from mixpanel_fetch.query import ProfileQuery

    query = ProfileQuery(subject="cohorts")
    keywords = landing_keywords(given, "replace") | {"query": query}
    if given.pop("dry_run"):
        return run_check(context.obj, given, keywords, noun="cohorts")
    return run_fetch(context, given, keywords, noun="cohorts")


@click.command(name="cohort-members", cls=ResumableCommand)
@table_argument("cohort_members")
@click.option(
    "--cohort",
    "cohort_ids",
    metavar="ID",
    multiple=True,
    help="Only the members of this cohort; repeatable. Else of every one, for a query more.",
)
@landing_options
@columns_flag
@column_options
@dry_run_flag
@click.pass_context
def cohort_members(context: click.Context, /, cohort_ids: tuple[str, ...], **given: Any) -> int:
    """Say in table NAME who is in which saved cohort.

    A row is a pair: distinct_id is COHORT:ID, the properties are cohort_id and distinct_id. Members
    without a profile are among them. A table that is there is replaced.

    Each cohort is a page, and one of the 60 queries an hour that Mixpanel allows a project. Once
    they are used up, what landed is kept, and --resume asks for what is missing. --allow-partial
    publishes what there is. Exits as mp fetch profiles does.
    """
    from mixpanel_fetch.query import ProfileQuery

    query = ProfileQuery(subject="cohort-members", cohort_ids=cohort_ids or None)
    keywords = landing_keywords(given, "replace") | {"query": query}
    if given.pop("dry_run"):
        return run_check(context.obj, given, keywords, noun="memberships")
    return run_fetch(context, given, keywords, noun="memberships", opening=_queries)


def _queries(event: RunOpened) -> str:
    if event.run.query.cohort_ids is None:
        return "the project has no saved cohort"
    missing = event.run.total_pages - event.landed_pages
    some = "1 cohort costs 1" if missing == 1 else f"{missing:,} cohorts cost {missing:,}"
    return f"{some} of the queries that count against the project's hour"
