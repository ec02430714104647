"""Who is told of a run: the caller's callbacks, the plugins that observe, the log."""

from __future__ import annotations

import logging
import time

from mixpanel_fetch.events import Announcer, Event, PageDone, Publishing, RunEnded, RunOpened
from mixpanel_fetch.model import ProfileBatchProgress, RunInfo
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.result import RunResult
from mixpanel_fetch.tally import Settled

log = logging.getLogger("mixpanel_fetch")


class Reporter:
    """Tells of one run what there is to tell; keeps the warnings for its result.

    All calls but :meth:`announce` come from the thread of the fetch.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._announcer = Announcer(plan.on_event)
        self._started = time.monotonic()
        self.warnings = list(plan.warnings)

    def restart_clock(self) -> None:
        """Count seconds from now on."""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._started

    def announce(self, event: Event) -> None:
        """Tell the caller's ``on_event``, in whatever greenlet or thread this is."""
        self._announcer(event)

    def warn(self, message: str) -> None:
        """Log a warning and keep it for the result."""
        log.warning("%s", message)
        self.warnings.append(message)

    def opened(self, run: RunInfo, landed_pages: int) -> None:
        """Tell that the session is open, and how many pages are held from before."""
        self.announce(RunOpened(run, landed_pages))

    def page(self, settled: Settled, run: RunInfo) -> None:
        """Tell what became of a page. Raises what ``on_batch_complete`` raises."""
        progress = ProfileBatchProgress(
            page_index=settled.index,
            total_pages=run.total_pages,
            rows=settled.rows_landed,
            success=settled.failure is None,
            error=None if settled.failure is None else str(settled.failure.error),
        )
        self.announce(PageDone(run.run_id, progress, self.seconds))
        if self._plan.host is not None:
            self._plan.host.observe("page_completed", progress=progress, run=run)
        if self._plan.on_batch_complete is not None:
            self._plan.on_batch_complete(progress)

    def publishing(self, run: RunInfo) -> None:
        """Tell that the sink is about to publish."""
        self.announce(Publishing(run.run_id, self.seconds))

    def ended(self, result: RunResult, run: RunInfo) -> None:
        """Tell how the run ended."""
        self.announce(RunEnded(result))
        if self._plan.host is not None:
            self._plan.host.observe("run_completed", result=result, run=run)
