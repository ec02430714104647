"""The counters of a run, once: a fold over what was received, landed and failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import (
    AuthenticationError,
    PaymentRequiredError,
    QueryError,
    RateLimitError,
    SessionExpiredError,
)
from mixpanel_fetch.model import LoadReport, Page, PageFailure, RunInfo

STOPPING = (AuthenticationError, PaymentRequiredError, SessionExpiredError)
"""What would meet every other page, too: nothing more is asked for after one of these."""


@dataclass(frozen=True)
class Settled:
    """What became of one page: its figures without its rows, and its failure if it failed.

    ``repeated``: rows whose id had landed before, where the core counts them.
    """

    index: int
    attempts: int
    rows_landed: int = 0
    rows_received: int = 0
    rows_dropped: int = 0
    rejected: int = 0
    repaired_values: int = 0
    rows_missing: int = 0
    repeated: int = 0
    failure: PageFailure | None = None

    @classmethod
    def of_page(cls, page: Page, **outcome: Any) -> Settled:
        """Return the figures of a page that was received."""
        return cls(
            index=page.index,
            attempts=page.attempts,
            rows_received=page.rows_received,
            rejected=len(page.rejected),
            repaired_values=page.repaired_values,
            rows_missing=page.rows_missing,
            **outcome,
        )

    @classmethod
    def of_failure(cls, failure: PageFailure) -> Settled:
        """Return the figures of a page that never came."""
        return cls(index=failure.index, attempts=failure.attempts, failure=failure)


def noted(page: Page, batch: Batch) -> Batch:
    """Return ``batch``, what ``page`` was transformed to, with what a resume must know of it."""
    facts = {"missing": page.rows_missing, "rejected": len(page.rejected)}
    note = json.dumps(facts) if any(facts.values()) else ""
    return batch if note == batch.note else replace(batch, note=note)


@dataclass
class Tally:
    """Adds up settled pages. ``landed`` holds the pages of earlier tries of this run too.

    ``rows_before``: the rows due from those, which are no longer known one by one.
    """

    total_pages: int
    landed: set[int] = field(default_factory=set)
    failures: dict[int, PageFailure] = field(default_factory=dict)
    short: list[int] = field(default_factory=list)
    rows_before: int = 0
    rows_landed: int = 0
    rows_received: int = 0
    rows_dropped: int = 0
    rejected: int = 0
    repaired_values: int = 0
    repeated: int = 0
    retries: int = 0

    def add(self, page: Settled) -> None:
        """Take one page's figures in."""
        if page.failure is None:
            self.landed.add(page.index)
            self.failures.pop(page.index, None)
        else:
            before = self.failures.get(page.index)
            attempts = page.attempts + (before.attempts if before else 0)
            self.failures[page.index] = replace(page.failure, attempts=attempts)
        if page.rows_missing:
            self.short.append(page.index)
        self.rows_landed += page.rows_landed
        self.rows_received += page.rows_received
        self.rows_dropped += page.rows_dropped
        self.rejected += page.rejected
        self.repaired_values += page.repaired_values
        self.repeated += page.repeated
        self.retries += page.attempts - 1

    @property
    def missing(self) -> tuple[int, ...]:
        """The pages that did not land, in order: failed, or never asked for."""
        return tuple(i for i in range(self.total_pages) if i not in self.landed)

    def remember(self, notes: Mapping[int, str]) -> None:
        """Take in what earlier tries of this run noted of the pages that landed."""
        for index, note in notes.items():
            facts = json.loads(note)
            self.rows_before -= facts["missing"]
            self.rejected += facts["rejected"]
            if facts["missing"]:
                self.short.append(index)

    def take_up_again(self) -> list[int]:
        """Return the pages that failed in the fetch and may come when asked for once more.

        Each counts as a retry from here on. None once a page met what would meet every other.
        """
        if self.stopped_by is not None:
            return []
        again = sorted(one.index for one in self.failures.values() if _may_mend(one))
        self.retries += len(again)
        return again

    def missing_rows(self, run: RunInfo) -> int:
        """Return how many rows page 0 announced and no page brought; below 0, those too many.

        0 where no number of rows was announced.
        """
        if run.total is None:
            return 0
        return run.total - self.rows_before - self.rows_received

    @property
    def stopped_by(self) -> BaseException | None:
        """What a page met that would meet every other page, too (:data:`STOPPING`)."""
        errors = (failure.error for failure in self.failures.values())
        return next((one for one in errors if isinstance(one, STOPPING)), None)

    def figures(
        self, run: RunInfo, report: LoadReport | None, duration_seconds: float
    ) -> dict[str, Any]:
        """Return the fields of a result that follow from the counters and the sink's report."""
        report = report or LoadReport()
        missing = self.missing
        total_rows = self.rows_landed if report.total_rows is None else report.total_rows
        return {
            "table": run.table,
            "total_rows": total_rows,
            "successful_pages": len(self.landed),
            "failed_pages": len(missing),
            "failed_page_indices": missing,
            "duration_seconds": duration_seconds,
            "fetched_at": datetime.now(timezone.utc),
            "run_id": run.run_id,
            "mode": run.mode,
            "destination": run.destination,
            "page_size": run.page_size,
            "total_pages": run.total_pages,
            "rows_received": self.rows_received,
            "rows_dropped": self.rows_dropped,
            "duplicate_rows": report.duplicate_rows,
            "rejected_rows": self.rejected,
            "missing_rows": max(0, self.missing_rows(run)),
            "short_pages": tuple(sorted(self.short)),
            "repaired_values": self.repaired_values + report.repaired_values,
            "inserted": report.inserted,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "gone": report.gone,
            "sync": None if run.sync is None else run.sync.kind,
            "retries": self.retries,
            "failures": tuple(self.failures[i] for i in sorted(self.failures)),
        }


def may_come(page: Settled) -> bool:
    """Whether ``page`` failed, and may yet come when it is asked for once more."""
    return page.failure is not None and _may_mend(page.failure)


def _may_mend(failure: PageFailure) -> bool:
    error = failure.error
    if isinstance(error, RateLimitError):
        return error.limit != "hourly"  # that has been waited for
    return failure.stage == "fetch" and not isinstance(error, (*STOPPING, QueryError))
