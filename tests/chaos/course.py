"""The whole course of a schedule: its tries one after the other, each judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixpanel_fetch.simulator import EngageSimulator, Fault
from mixpanel_fetch.simulator.stats import RequestRecord

from .judge import Case, Outcome, Table, verdict
from .reference import Reference, reference_of, stored
from .schedule import QUOTAS, READ_TIMEOUT, Schedule, Stop
from .sinks import Sink

AT_ONCE = 5
FINAL = (404,)
"""Answers after which a page is not asked for again."""
Try = Callable[[Schedule, EngageSimulator, str, bool, "Stop | None"], Outcome]


@dataclass
class Course:
    """One schedule on its way. ``said``: what each try came to, for people."""

    schedule: Schedule
    sink: Sink
    simulator: EngageSimulator
    place: Path
    fetch: Try
    reference: Reference = field(init=False)
    table: Table = field(init=False)
    public: bool = False
    said: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reference = reference_of(self.schedule)
        self.table = None

    def run(self) -> None:
        """Go through all tries until everything is there, or something is wrong."""
        schedule = self.schedule
        self._lay_old_table()
        self.simulator.set_profiles(self.reference.profiles)
        self.simulator.set_faults(schedule.faults)
        resume = False
        for stop in schedule.stops:
            self._try(stop, resume=resume)
            resume = True
        last = self._try(None, resume=resume)
        if self._is_refused(last):
            return
        if last.code == 0 and schedule.seed % 8:
            return
        if last.code != 0 and schedule.later_faults:
            self.simulator.set_faults(schedule.later_faults)
            self._try(None, resume=True)
        self.simulator.set_faults(())
        last = self._try(None, resume=True)
        if last.code != 0 and not self._is_short(last):
            self.complaints.append(f"nothing goes wrong any more, and it exits with {last.code}")

    def _lay_old_table(self) -> None:
        if self.reference.old is not None:
            self.sink.lay(self.place, "users", [stored(one) for one in self.reference.old])
            self.table = self.sink.look(self.place, "users").rows

    def _try(self, stop: Stop | None, *, resume: bool) -> Outcome:
        self.simulator.reset_stats()
        uri = self.sink.uri(self.place)
        outcome = self.fetch(self.schedule, self.simulator, uri, resume, stop)
        seen = self.sink.look(self.place, "users")
        case = Case(
            self.reference,
            self.table,
            seen.rows,
            outcome,
            seen.memory,
            shortened=_shortened(self._faults),
            public=self.public,
        )
        complaints = [*verdict(case), *at_once(self.simulator.stats.requests)]
        complaints += self._needless(outcome)
        self.said.append(_told(outcome, stop, resume=resume))
        self.complaints += [f"try {len(self.said)}: {complaint}" for complaint in complaints]
        self.table = seen.rows
        self.public |= seen.memory is not None and seen.memory.status == "partial"
        return outcome

    def _is_refused(self, outcome: Outcome) -> bool:
        """Whether the mode could not be: then there is nothing to go on with."""
        there = self.schedule.old is not None
        refused = there if self.schedule.mode == "create" else not there
        if self.schedule.mode not in {"create", "append"} or not refused:
            return False
        if outcome.code != 3 or self.simulator.stats.received:
            self.complaints.append(f"not refused at once: {outcome}")
        return True

    def _is_short(self, outcome: Outcome) -> bool:
        # A page that came short stays so: it is named, and landed.
        document = outcome.document
        return (
            document is not None
            and not document["failed_page_indices"]
            and bool(_shortened(self._faults))
        )

    def _needless(self, outcome: Outcome) -> list[str]:
        """Complain of failed pages that met no more faults than are to be survived."""
        document, faults = outcome.document, self._faults
        if document is None or document["interrupted"]:
            return []
        if any(fault.kind == "expired_session" for fault in faults):
            return []  # it ends the session, and every page with it
        requests = self.simulator.stats.requests
        met = Counter(request.page for request in requests if request.fault)
        excused = {request.page for request in requests if request.status in FINAL}
        excused |= {f.page for f in faults if f.kind in QUOTAS and f.retry_after != "0"}
        needless = [
            page
            for page in document["failed_page_indices"]
            if met[page] <= self.schedule.max_retries and page not in excused
        ]
        return [f"pages {needless} failed without need"] if needless else []

    @property
    def _faults(self) -> Sequence[Fault]:
        return (*self.schedule.faults, *self.schedule.later_faults)


def _shortened(faults: Iterable[Fault]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for fault in faults:
        if fault.kind == "short" and fault.page is not None:
            found.setdefault(fault.page, set()).add(fault.rows)
    return found


def at_once(requests: Sequence[RequestRecord]) -> list[str]:
    """Complain of more requests in flight than allowed.

    A server that hangs does not see that its client has gone, so such a request counts for only
    half the time that the client waits.
    """
    edges = []
    for request in requests:
        end = request.finished
        if request.fault == "hang":
            end = min(end, request.started + READ_TIMEOUT / 2)
        edges += [(request.started, 1), (end, -1)]
    running = most = 0
    for _, change in sorted(edges):
        running += change
        most = max(most, running)
    return [f"{most} requests in flight at once"] if most > AT_ONCE else []


def _told(outcome: Outcome, stop: Stop | None, *, resume: bool) -> str:
    document = outcome.document or {}
    figures = ("published", "failed_page_indices", "missing_rows", "short_pages", "warnings")
    shown = {name: document[name] for name in figures if document.get(name)}
    words = ["resume" if resume else "first try", str(stop or ""), f"exit {outcome.code}"]
    return " ".join(filter(None, [*words, outcome.error, str(shown) if document else ""]))
