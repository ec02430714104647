"""Where the pages of a run come from, by what its query asks for."""

from __future__ import annotations

from dataclasses import replace

from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.cohortpages import MemberPages, open_list, open_members
from mixpanel_fetch.idpages import open_ids, reopened_ids
from mixpanel_fetch.model import Page, ProfileQuery, RunInfo
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.source import EngagePages, open_session, reopened_session


def opened_source(
    connection: EngageConnection, settings: ClientSettings, plan: Plan, query: ProfileQuery
) -> tuple[EngagePages, Page]:
    """Ask for page 0 of ``query``; return all its pages, and page 0. Raises what that raises."""
    if query.subject == "cohorts":
        return open_list(connection, settings, query)
    if query.subject == "cohort-members":
        return open_members(connection, settings, query, plan.paging)
    if query.distinct_ids is not None:
        return open_ids(connection, settings, query, plan.paging)
    return open_session(
        connection,
        settings,
        query,
        plan.paging,
        workers=plan.workers,
        may_miss=plan.tolerance.missing,
    )


def reopened_source(
    connection: EngageConnection, settings: ClientSettings, plan: Plan, run: RunInfo
) -> EngagePages:
    """Return the pages of a run that goes on, asked for as it did; asks for none yet."""
    paging = replace(plan.paging, size=run.asked_page_size)
    if run.query.subject == "cohort-members":
        return MemberPages(connection, settings, run.query, paging)
    if run.query.distinct_ids is not None:
        return reopened_ids(connection, settings, run.query, paging)
    return reopened_session(connection, settings, run, plan.paging, plan.tolerance.missing)
