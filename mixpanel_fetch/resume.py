"""Which run of a table goes on, and whether it may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.sync import sync_key

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
    """Return the newest run of the plan's table, if it is complete and was about the same.

    A table that is kept in step is never finished with.
    """
    if plan.sync is not None:
        return None
    engine: Any = plan.sink.engine
    for record in engine.runs():
        if record.info.table == plan.table and record.status != "aborted":
            same = not differing_parts(plan, settings, record.info)
            return record if record.status == "complete" and same else None
    return None


def differing_parts(plan: Plan, settings: ClientSettings, info: RunInfo) -> str:
    """Name what ``plan`` asks for in another way than the run of ``info`` did; empty if nothing."""
    ours = plan.fingerprint(settings, info.page_size)
    differing = [
        words for part, words in _PARTS.items() if ours[part] != info.fingerprint.get(part)
    ]
    if not _same_sync(plan, ours, info):
        differing.append("how the table is kept in step")
    return " and ".join(differing)


def _same_sync(plan: Plan, ours: Mapping[str, str], info: RunInfo) -> bool:
    wish, order = plan.sync, info.sync
    if wish is None or order is None:
        return (wish is None) == (order is None)
    # Whether it was to be a full fetch, and how far it went back, is the interrupted run's.
    return order == replace(order, key=sync_key(ours), delete=wish.delete, history=wish.history)


def mode_over(record: RunRecord) -> Mode:
    """Return the mode in which a new session may take the place of what ``record`` has left.

    A part of it may be public already: of create and replace, the table holds nothing else.
    """
    if record.status != "partial":
        return record.info.mode
    return "replace" if record.info.mode in {"create", "replace"} else "merge"
