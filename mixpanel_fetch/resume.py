"""Which run of a table goes on, and whether it may."""

from __future__ import annotations

from typing import Any

from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.plan import Plan

_PARTS = {
    "query": "the query",
    "project": "the project",
    "host": "the region or host",
    "page_size": "the page size",
    "transforms": "the transforms",
}


def run_to_resume(plan: Plan, settings: ClientSettings) -> RunRecord | None:
    """Return the interrupted run of the plan's table, or None where there is none.

    Raises ConfigError for a sink that cannot resume, and for a run that was about something else.
    To be called in the run's thread.
    """
    engine: Any = plan.sink.engine
    if "resume" not in plan.sink.capabilities:
        raise ConfigError(f"{plan.sink.label} cannot resume a run; leave --resume out")
    info: RunInfo | None = engine.interrupted(plan.table)
    if info is None:
        return None
    differing = differing_parts(plan, settings, info)
    if differing:
        raise ConfigError(
            f"the interrupted run of {info.table} differs in {differing}; ask for the same again,"
            " or leave --resume out to start over"
        )
    if plan.mode not in {"create", info.mode}:
        raise ConfigError(
            f"the interrupted run of {info.table} was to {info.mode}, not to {plan.mode}"
        )
    records: list[RunRecord] = [one for one in engine.runs() if one.info.run_id == info.run_id]
    return records[0]


def finished_run(plan: Plan, settings: ClientSettings) -> RunRecord | None:
    """Return the newest run of the plan's table, if it is complete and was about the same."""
    engine: Any = plan.sink.engine
    for record in engine.runs():
        if record.info.table == plan.table and record.status != "aborted":
            same = not differing_parts(plan, settings, record.info)
            return record if record.status == "complete" and same else None
    return None


def differing_parts(plan: Plan, settings: ClientSettings, info: RunInfo) -> str:
    """Name what ``plan`` asks for in another way than the run of ``info`` did; empty if nothing."""
    ours = plan.fingerprint(settings, info.page_size)
    return " and ".join(
        words for part, words in _PARTS.items() if ours[part] != info.fingerprint.get(part)
    )


def mode_over(record: RunRecord) -> Mode:
    """Return the mode in which a new session may take the place of what ``record`` has left.

    A part of it may be public already: of create and replace, the table holds nothing else.
    """
    if record.status != "partial":
        return record.info.mode
    return "replace" if record.info.mode in {"create", "replace"} else "merge"
