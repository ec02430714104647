"""The runs of a table: a row for each, and how the last one left the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.report.figures import count, duration, instant, ranges


@dataclass(frozen=True)
class RunRow:
    """A row of the table of runs. ``seconds`` is None where a run has no end."""

    run_id: str
    started_at: str
    status: str
    mode: str
    landed: int
    pages: int
    missing: str
    rows: int | None
    seconds: float | None
    duration: str


@dataclass(frozen=True)
class LastRun:
    """The last run; ``warning`` and ``advice`` are empty where it is complete."""

    status: str
    started_at: str
    warning: str = ""
    advice: str = ""


def run_row(record: RunRecord) -> RunRow:
    """Return one run as a row. An aborted one misses nothing: nobody waits for its pages."""
    took = _took(record)
    return RunRow(
        run_id=record.info.run_id,
        started_at=instant(record.info.started_at),
        status=record.status,
        mode=record.info.mode,
        landed=len(record.landed_pages),
        pages=record.info.total_pages,
        missing="" if record.status == "aborted" else ranges(record.missing_pages),
        rows=record.total_rows,
        seconds=None if took is None else took.total_seconds(),
        duration="" if took is None else duration(took),
    )


def last_run(record: RunRecord, table: str) -> LastRun:
    """Return how the last run of ``table`` ended, and what to do where that is not well."""
    warning = advice = ""
    if record.status == "aborted":
        warning, advice = "The last fetch was given up.", "Fetch the table again."
    elif record.status != "complete":
        warning = f"{_ENDS[record.status]}: {_lacks(record)}."
        advice = "The same fetch with --resume asks for the missing pages only."
    if record.status == "running":
        advice = f"If no fetch is running now, it was killed. {advice}"
    if warning and record.total_rows is None:
        warning += " The table is as it was before."
    elif warning:
        warning += f" Table {table} is incomplete."
    return LastRun(record.status, instant(record.info.started_at), warning, advice)


_ENDS = {
    "partial": "The last fetch lacks pages",
    "suspended": "The last fetch was interrupted",
    "running": "The last fetch has not ended",
}


def _lacks(record: RunRecord) -> str:
    missing, pages = record.missing_pages, count(record.info.total_pages, "page")
    if not missing:
        return f"{pages} came, and are not published"
    return f"{len(missing):,} of {pages} did not land (numbered from 0: {ranges(missing)})"


def _took(record: RunRecord) -> timedelta | None:
    ended = record.finished_at
    return None if ended is None else ended - record.info.started_at
