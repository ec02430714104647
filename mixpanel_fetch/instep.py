"""What a run that keeps a table in step is to do, by what the destination remembers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.client_settings import ClientSettings
from mixpanel_fetch.model import RunInfo
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.sync import SyncOrder, order_for, sync_key
from mixpanel_fetch.tally import Tally


def order_of(plan: Plan, settings: ClientSettings) -> SyncOrder | None:
    """Return the order for the plan's run, None for one that keeps nothing in step.

    To be called in the run's thread. Raises ConfigError for a table that follows something else,
    and for one that the destination cannot keep in step so.
    """
    if plan.sync is None:
        return None
    engine: Any = plan.sink.engine
    state = engine.sync_state(plan.table)
    key = sync_key(plan.fingerprint(settings, page_size=0))
    order = order_for(plan.sync, state, key, datetime.now(timezone.utc))
    check = getattr(engine, "check_in_step", None)
    if check is not None:
        check(plan.table, order)
    return order


def is_complete(run: RunInfo, tally: Tally) -> bool:
    """Whether all that the run asked for came."""
    return not tally.missing and tally.missing_rows(run) <= 0


def too_many_gone(gone: int, rows: int, most: float) -> str | None:
    """Return why ``gone`` of a table's ``rows`` must not go, or None."""
    if gone <= rows * most:
        return None
    return (
        f"{gone:,} of {rows:,} profiles did not come any more, which is over {most:.0%}; check the"
        " region, the data view (MP_WORKSPACE_ID) and the filter, or allow it with --max-gone"
    )
