"""What a run may lack and still be published."""

from __future__ import annotations

from dataclasses import dataclass

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import RunInfo
from mixpanel_fetch.tally import Tally


@dataclass(frozen=True)
class Tolerance:
    """What the user puts up with. Raises ConfigError for what cannot be.

    ``partial``: replace and merge with the pages that landed, though others failed. ``empty``:
    replace a table that has rows by an answer that has none. ``missing``: so many rows may be
    announced and not sent. ``strict``: publish only if every row that was announced came, once,
    and could be stored.
    """

    partial: bool = False
    empty: bool = False
    missing: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.missing, int) or self.missing < 0:
            raise ConfigError("allow_missing is a number of rows, 0 or more")
        if self.strict and (self.partial or self.empty):
            raise ConfigError("--strict and --allow-partial or --allow-empty contradict each other")

    def objection(self, run: RunInfo, tally: Tally) -> str | None:
        """Return what keeps ``run`` from being published, or None."""
        pages = f"{len(tally.missing)} of {run.total_pages} pages are missing"
        if self.strict:
            return "; ".join(self._not_adding_up(run, tally, pages)) or None
        if tally.missing and not (self.partial or run.mode in {"create", "append"}):
            return f"{pages}; run again, or pass --allow-partial to {run.mode} with what landed"
        if run.total is None and run.mode == "replace" and not (tally.rows_landed or self.empty):
            return "no profile came; pass --allow-empty to empty it"
        return None

    def _not_adding_up(self, run: RunInfo, tally: Tally, pages: str) -> list[str]:
        missing, surplus = tally.missing_rows(run), -tally.missing_rows(run)
        found = [
            (bool(tally.missing), pages),
            (missing > self.missing and not tally.missing, f"{missing:,} rows were never sent"),
            (surplus > 0, f"{surplus:,} rows came beyond the {run.total or 0:,} announced"),
            (tally.rejected > 0, f"{tally.rejected:,} rows have no usable id"),
        ]
        return [words for is_so, words in found if is_so]
