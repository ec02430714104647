"""What became of jobs, as lines and as one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.progress.words import duration

if TYPE_CHECKING:
    from mixpanel_fetch.joboutcome import JobOutcome


def show(output: Output, outcomes: Iterable[JobOutcome]) -> list[JobOutcome]:
    """Write a line for each job as it ends, or one document at last; return the outcomes."""
    shown = []
    for outcome in outcomes:
        shown.append(outcome)
        if output.form == "text":
            output.text(line_of(outcome))
    if output.form == "json":
        jobs = [outcome.to_dict() for outcome in shown]
        output.document({"exit_code": exit_code_of(shown), "jobs": jobs})
    return shown


def exit_code_of(outcomes: Sequence[JobOutcome]) -> int:
    """Return the highest exit code of all."""
    return max((outcome.exit_code for outcome in outcomes), default=0)


def line_of(outcome: JobOutcome) -> str:
    """Return what became of a job: ``users: done: 300 rows; 0.2 s``."""
    parts = [outcome.words] if outcome.words else []
    if outcome.result is not None:
        parts.append(duration(outcome.result.duration_seconds))
    elif outcome.last_run is not None:
        parts.append(f"last complete {_when(outcome.last_run)}")
        if outcome.due_at is not None:
            parts.append(f"due {_when(outcome.due_at)}")
    return f"{outcome.job}: {outcome.status}: {'; '.join(parts)}"


def summary_of(outcomes: Sequence[JobOutcome], seconds: float) -> str:
    """Return all of it in a line: ``20 jobs: 19 done, 1 failed; 1,900 rows; 4.2 s``."""
    counts = Counter(outcome.status for outcome in outcomes)
    statuses = ", ".join(f"{times} {status}" for status, times in counts.most_common())
    rows = sum(one.result.total_rows for one in outcomes if one.result is not None)
    jobs = "1 job" if len(outcomes) == 1 else f"{len(outcomes)} jobs"
    return f"{jobs}: {statuses}; {rows:,} rows; {duration(seconds)}"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
