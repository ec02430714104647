"""The end of a run's load: published, kept for a resume, or taken back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.instep import is_complete, too_many_gone
from mixpanel_fetch.model import LoadReport, RunInfo
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.protocols import TableLoad
from mixpanel_fetch.runthread import RunThread
from mixpanel_fetch.tally import Tally

_GLANCE = 0.1  # seconds between two looks at whether to stop


class Publication:
    """What is done with one load in the end. Use from the thread and hub of the run."""

    def __init__(self, plan: Plan, thread: RunThread, load: TableLoad, run: RunInfo) -> None:
        self._plan = plan
        self._thread = thread
        self._load: Any = load
        self._run = run
        self._committed = False

    def objection(self, tally: Tally) -> str | None:
        """Return why what landed must not be published, or None."""
        tolerance = self._plan.tolerance
        objection = tolerance.objection(self._run, tally) or self._gone(tally)
        if objection is not None or not tolerance.strict:
            return objection
        duplicates = self._duplicates(tally)
        return f"{duplicates:,} rows came twice" if duplicates else None

    def _duplicates(self, tally: Tally) -> int:
        count = getattr(self._load, "count_duplicates", None)
        if count is None:
            return tally.repeated
        found: int = self._thread.call(self._plan.sink.call, count)
        return found

    def _is_whole(self, tally: Tally) -> bool:
        """Whether absence means anything: where rows came twice, others may not have come."""
        return is_complete(self._run, tally) and not self._duplicates(tally)

    def _gone(self, tally: Tally) -> str | None:
        order, wish = self._run.sync, self._plan.sync
        if order is None or wish is None or order.kind != "full" or order.delete == "ignore":
            return None
        if not self._is_whole(tally):
            return None
        gone, rows = self._thread.call(self._plan.sink.call, self._load.count_gone)
        return too_many_gone(gone, rows, wish.max_gone)

    def publish(self, tally: Tally) -> LoadReport | None:
        """Commit; None when that was interrupted. Raises what the sink raises."""
        whole = self._run.sync is not None and self._is_whole(tally)
        pending = self._thread.submit(self._commit, whole)
        told = False
        while not pending.wait(_GLANCE):
            if self._plan.is_cancelled and not told:
                told = True
                interrupt(self._plan)
        try:
            return pending.result() or LoadReport()
        except MixpanelFetchError:
            if told:
                return None
            raise

    def keep(self) -> None:
        """Keep what landed for a resume where the sink can, else drop it; the table is as it was.

        Raises what the sink raises.
        """
        self._undo(getattr(self._load, "suspend", self._load.abort))

    def drop(self) -> None:
        """Keep nothing of what landed; the table is as it was. Raises what the sink raises."""
        self._undo(self._load.abort)

    def _undo(self, undo: Callable[[], None]) -> None:
        self._thread.call(self._undone, undo)

    # In the run's thread, and so one after the other: what is published stays so.

    def _commit(self, complete: bool) -> LoadReport | None:
        commit = self._load.commit
        if self._run.sync is not None:
            commit = partial(self._load.commit_in_step, complete=complete)
        report: LoadReport | None = self._plan.sink.call(commit)
        self._committed = True
        return report

    def _undone(self, undo: Callable[[], None]) -> None:
        if not self._committed:
            self._plan.sink.call(undo)


def interrupt(plan: Plan) -> None:
    """Have the sink end soon what it is about, if it can."""
    stop: Any = getattr(plan.sink.engine, "interrupt", None)
    if stop is not None:
        stop()
