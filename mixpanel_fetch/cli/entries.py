"""A run's events as entries of the JSON log, and as lines for ``-vv``."""

from __future__ import annotations

from typing import Any

from mixpanel_fetch.cli.stderr_log import StderrLog
from mixpanel_fetch.events import Event, PageDone, Publishing, RunEnded, RunOpened, Waiting
from mixpanel_fetch.progress.words import duration
from mixpanel_fetch.result import RunResult


class EntryWriter:
    """Listens to a run and writes an entry for each event, unless it is to be ``quiet``."""

    def __init__(self, log: StderrLog, *, quiet: bool = False) -> None:
        self._log = log
        self._quiet = quiet

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event, RunOpened):
            self._log.run_id = event.run.run_id
        if not self._quiet:
            kind, level, fields = _entry(event)
            self._log.entry(kind, level=level, **fields)


class PageLines:
    """Listens to a run and says what became of each page."""

    def __init__(self, log: StderrLog) -> None:
        self._log = log

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        if not isinstance(event, PageDone):
            return
        page = event.progress
        outcome = f"landed, {page.rows:,} rows" if page.success else f"failed: {page.error}"
        self._log.say(f"page {page.page_index} {outcome} (at {duration(event.seconds)})")


def _entry(event: Event) -> tuple[str, str, dict[str, Any]]:
    fields: dict[str, Any]
    match event:
        case RunOpened(run=run):
            fields = {
                "table": run.table,
                "destination": run.destination,
                "mode": run.mode,
                "profiles": run.total,
                "total_pages": run.total_pages,
                "page_size": run.page_size,
                "landed_pages": event.landed_pages,
            }
            return "run_opened", "info", fields
        case PageDone(progress=page):
            fields = {
                "page": page.page_index,
                "status": "landed" if page.success else "failed",
                "rows": page.rows,
                "seconds": round(event.seconds, 3),
            }
            if page.error is not None:
                fields["reason"] = " ".join(page.error.split())
            return "page", "info" if page.success else "warning", fields
        case Waiting():
            fields = {
                "page": event.page,
                "seconds": round(event.seconds, 3),
                "reason": " ".join(event.reason.split()),
                "limit": event.limit,
                "attempt": event.attempt,
            }
            return "wait", "info", fields
        case Publishing():
            return "publishing", "info", {"seconds": round(event.seconds, 3)}
        case RunEnded(result=result):
            return "run_ended", "info" if result.exit_code == 0 else "warning", _ended(result)


def _ended(result: RunResult) -> dict[str, Any]:
    return {
        "status": status_of(result),
        "table": result.table,
        "rows": result.total_rows,
        "landed_pages": result.successful_pages,
        "failed_pages": result.failed_pages,
        "retries": result.retries,
        "resumable": result.resumable,
        "seconds": round(result.duration_seconds, 3),
    }


def status_of(result: RunResult) -> str:
    """Return how a run ended: ``complete``, ``incomplete``, ``not_published``, ``interrupted``."""
    if result.interrupted:
        return "interrupted"
    if not result.published:
        return "not_published"
    return "complete" if result.exit_code == 0 else "incomplete"
