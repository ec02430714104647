"""The record of a run, as it is kept: one JSON document. No secret comes here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.model import LoadReport, ProfileQuery, RunInfo, RunRecord, RunStatus
from mixpanel_fetch_delta.landed import PageEntry
from mixpanel_fetch_delta.names import RunPlaces

INTERRUPTED: frozenset[RunStatus] = frozenset({"running", "suspended", "partial"})


@dataclass(frozen=True)
class Intent:
    """A commit that is about to be made, and what holds once it is made.

    ``number``: which of the run's commits; the table tells whether it was made.
    """

    number: int
    report: LoadReport
    whole: bool
    published: tuple[PageEntry, ...]


@dataclass(frozen=True)
class Record:
    """A run: how it stands, who has it, and what was published of it so far."""

    info: RunInfo
    status: RunStatus
    owner: str
    finished_at: datetime | None = None
    report: LoadReport = field(default_factory=LoadReport)
    commits: int = 0
    published: tuple[PageEntry, ...] = ()
    intent: Intent | None = None
    notes: Mapping[int, str] = field(default_factory=dict)

    @property
    def places(self) -> RunPlaces:
        """Where it keeps what is its own."""
        return RunPlaces(self.info.run_id)

    def told(self, pages: frozenset[int], notes: Mapping[int, str]) -> RunRecord:
        """Return what :meth:`ResumableEngine.runs` tells, with what is staged."""
        landed = pages | {page.index for page in self.published}
        if self.status == "complete":
            landed = frozenset(range(self.info.total_pages))
        return RunRecord(
            info=self.info,
            status=self.status,
            landed_pages=landed,
            total_rows=self.report.total_rows,
            finished_at=self.finished_at,
            notes={**self.notes, **notes},
        )

    def as_committed(self) -> Record:
        """Return the record once its intent has come true."""
        assert self.intent is not None
        return replace(
            self,
            status="complete" if self.intent.whole else "partial",
            finished_at=datetime.now(timezone.utc),
            report=self.intent.report,
            commits=self.intent.number,
            published=() if self.intent.whole else self.intent.published,
            intent=None,
        )

    def ended(self, status: RunStatus) -> Record:
        """Return the record of a run that stops now.

        Its intent stays: whether the commit was made may not be known here.
        """
        return replace(self, status=status, finished_at=datetime.now(timezone.utc))

    def to_json(self) -> bytes:
        """Return the document."""
        info = {**asdict(self.info), "query": self.info.query.document()}
        info["started_at"] = self.info.started_at.isoformat()
        document = {
            "info": info,
            "status": self.status,
            "owner": self.owner,
            "finished_at": self.finished_at and self.finished_at.isoformat(),
            "report": asdict(self.report),
            "commits": self.commits,
            "published": _figures(self.published),
            "intent": self.intent
            and {
                "number": self.intent.number,
                "report": asdict(self.intent.report),
                "whole": self.intent.whole,
                "published": _figures(self.intent.published),
            },
            "notes": {str(index): note for index, note in self.notes.items()},
        }
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """Read a document. Raises ValueError, KeyError or TypeError for what is none."""
        document = json.loads(text)
        intent, finished = document["intent"], document["finished_at"]
        return cls(
            info=_info(document["info"]),
            status=document["status"],
            owner=document["owner"],
            finished_at=finished and datetime.fromisoformat(finished),
            report=LoadReport(**document["report"]),
            commits=document["commits"],
            published=_entries(document["published"]),
            intent=intent
            and Intent(
                intent["number"],
                LoadReport(**intent["report"]),
                intent["whole"],
                _entries(intent["published"]),
            ),
            notes={int(index): note for index, note in document["notes"].items()},
        )


def _info(document: dict[str, Any]) -> RunInfo:
    wanted: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["query"].items()
    }
    changed = {
        "query": ProfileQuery(**wanted),
        "transforms": tuple(document["transforms"]),
        "started_at": datetime.fromisoformat(document["started_at"]),
    }
    return RunInfo(**{**document, **changed})


def _figures(pages: tuple[PageEntry, ...]) -> list[list[int]]:
    return [[page.index, page.received, page.kept] for page in pages]


def _entries(figures: list[list[int]]) -> tuple[PageEntry, ...]:
    return tuple(PageEntry(*one) for one in figures)
