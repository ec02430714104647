"""What a fetch returns: the contract's fields, and the figures that say what became of each row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import Mode, PageFailure
from mixpanel_fetch.notebook import html_facts
from mixpanel_fetch.sync import SyncKind


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What both kinds of result carry.

    ``total_rows`` is what the sink landed; ``duration_seconds`` runs from before page 0's request
    to after publish, on a monotonic clock; ``fetched_at`` is aware, in UTC.

    ``rows_received`` counts rows as they came, before transforms; ``rows_dropped`` those that
    transforms left out; ``duplicate_rows`` those that another row of the same id in this run
    replaced; ``rejected_rows`` those without a usable id; ``missing_rows`` what page 0 announced
    and no page brought; ``short_pages`` the pages that stayed under the rows due from them;
    ``repaired_values`` values that had to be changed to be stored. ``published`` is False where
    the table was left as it was; ``resumable`` is True where ``--resume`` goes on with what landed.
    ``strict`` and ``allowed_missing`` (rows) say what was asked of the run; so many missing rows do
    not count in :attr:`exit_code`. ``sync`` says whether a run that keeps its table in step was a
    full or an incremental one; ``unchanged`` and ``gone`` count the rows that were as they came,
    and those that did not come any more. ``failures`` has each failed page's error.
    """

    table: str
    total_rows: int
    successful_pages: int = 0
    failed_pages: int = 0
    failed_page_indices: tuple[int, ...] = ()
    duration_seconds: float
    fetched_at: datetime
    run_id: str = ""
    mode: Mode = "create"
    destination: str = ""
    page_size: int = 0
    total_pages: int = 0
    rows_received: int = 0
    rows_dropped: int = 0
    duplicate_rows: int = 0
    rejected_rows: int = 0
    missing_rows: int = 0
    short_pages: tuple[int, ...] = ()
    repaired_values: int = 0
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    gone: int | None = None
    sync: SyncKind | None = None
    retries: int = 0
    published: bool = True
    interrupted: bool = False
    resumable: bool = False
    strict: bool = False
    allowed_missing: int = 0
    warnings: tuple[str, ...] = ()
    failures: tuple[PageFailure, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.table:
            raise ValueError("a result names its table")
        counts = (self.total_rows, self.successful_pages, self.failed_pages, self.duration_seconds)
        if any(count < 0 for count in counts):
            raise ValueError("counts and durations cannot be negative")
        if self.failed_pages != len(self.failed_page_indices):
            raise ValueError("failed_pages must be the number of failed_page_indices")
        if self.fetched_at.tzinfo is None:
            raise ValueError("fetched_at must be an aware datetime")
        object.__setattr__(self, "fetched_at", self.fetched_at.astimezone(timezone.utc))
        object.__setattr__(self, "failed_page_indices", tuple(sorted(self.failed_page_indices)))

    @property
    def has_failures(self) -> bool:
        """Whether any page did not land."""
        return self.failed_pages > 0

    @property
    def exit_code(self) -> int:
        """What ``mp`` exits with: 0 everything landed, 1 not everything, 2 credentials refused."""
        errors = [failure.error for failure in self.failures]
        if any(isinstance(error, MixpanelFetchError) and error.exit_code == 2 for error in errors):
            return 2
        whole = self.published and not (
            self.has_failures
            or self.missing_rows > self.allowed_missing
            or self.rejected_rows
            or self.interrupted
        )
        return 0 if whole else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able document of this result: the contract's fields, then the others."""
        from mixpanel_fetch.schemas import ResultSchema

        return dict(ResultSchema().dump(self))

    def _repr_html_(self) -> str:
        pages = f"{self.successful_pages:,} of {self.total_pages or self.successful_pages:,}"
        facts = [
            ("pages", pages),
            ("seconds", f"{self.duration_seconds:,.1f}"),
            ("destination", self.destination),
        ]
        lacking = [
            ("pages that failed", ", ".join(map(str, self.failed_page_indices))),
            ("rows missing", _if_any(self.missing_rows)),
            ("rows rejected", _if_any(self.rejected_rows)),
            ("rows that came twice", _if_any(self.duplicate_rows)),
            ("published", "" if self.published else "no: the table was left as it was"),
            ("interrupted", "yes" if self.interrupted else ""),
            *(("warning", warning) for warning in self.warnings),
        ]
        caption = f"{self.table}: {self.total_rows:,} profiles"
        return html_facts([*facts, *(fact for fact in lacking if fact[1])], caption=caption)


def _if_any(count: int) -> str:
    return f"{count:,}" if count else ""


@dataclass(frozen=True, kw_only=True)
class FetchResult(RunResult):
    """The outcome of a fetch with ``parallel=False``."""


@dataclass(frozen=True, kw_only=True)
class ParallelProfileFetchResult(RunResult):
    """The outcome of a fetch with ``parallel=True`` (the contract's "Output (JSON)")."""
