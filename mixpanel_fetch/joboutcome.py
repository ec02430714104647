"""What became of a job, or would."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from mixpanel_fetch.errors import FetchInterruptedError, MixpanelFetchError
from mixpanel_fetch.jobs import Job
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.result import RunResult

_GONE = "its worker ended abruptly; was it killed, or out of memory?"

JobStatus = Literal["done", "incomplete", "failed", "interrupted", "due", "not due", "not run"]


@dataclass(frozen=True)
class JobOutcome:
    """What became of a job, or would (``due``, ``not due``).

    ``words``: why, as one line. ``last_run``: when the newest complete run of its table began, in
    UTC, None where its destination knows of none; ``due_at``: when the next is due. ``error`` is
    the name of the exception that ``words`` are of.
    """

    job: str
    table: str
    status: JobStatus
    words: str = ""
    exit_code: int = 0
    last_run: datetime | None = None
    due_at: datetime | None = None
    error: str | None = None
    result: RunResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able document of this outcome."""
        return {
            "job": self.job,
            "table": self.table,
            "status": self.status,
            "message": self.words,
            "exit_code": self.exit_code,
            "last_run": None if self.last_run is None else f"{self.last_run:%Y-%m-%dT%H:%M:%SZ}",
            "due_at": None if self.due_at is None else f"{self.due_at:%Y-%m-%dT%H:%M:%SZ}",
            "error": self.error,
            "result": None if self.result is None else self.result.to_dict(),
        }


def not_run(
    job: Job,
    words: str = "told to stop before it began",
    exit_code: int = FetchInterruptedError.exit_code,
) -> JobOutcome:
    """Return the outcome of a job that never began."""
    return JobOutcome(job.name, job.table, "not run", words, exit_code=exit_code)


def failed(job: Job, error: BaseException) -> JobOutcome:
    """Return the outcome of a job that ``error`` has ended."""
    return JobOutcome(
        job.name,
        job.table,
        "interrupted" if isinstance(error, FetchInterruptedError) else "failed",
        _GONE if isinstance(error, BrokenExecutor) else one_line_of(error),
        exit_code=error.exit_code if isinstance(error, MixpanelFetchError) else 1,
        error=type(error).__name__,
    )


def ended(standing: JobOutcome, result: RunResult) -> JobOutcome:
    """Return the outcome of a job, due as ``standing`` said, whose fetch came to ``result``."""
    status: JobStatus = "done" if result.exit_code == 0 else "incomplete"
    if result.interrupted:
        status = "interrupted"
    elif result.exit_code == 2:
        status = "failed"
    lack = "" if result.published else "; the table was left as it was"
    if result.failed_pages:
        lack = f"; {result.failed_pages:,} of {result.total_pages:,} pages are missing{lack}"
    rows = "1 row" if result.total_rows == 1 else f"{result.total_rows:,} rows"
    kind = "" if result.sync is None else f", {result.sync}"
    return replace(
        standing,
        status=status,
        words=f"{rows}{kind}{lack}",
        exit_code=result.exit_code,
        due_at=None,
        result=result,
    )
