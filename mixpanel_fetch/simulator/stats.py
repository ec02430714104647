"""What the simulator saw: one record a request, and the counts over them."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Records are kept for tests, not for ever: a simulator may run for days.
MAX_RECORDS = 50_000


@dataclass(frozen=True)
class RequestRecord:
    """One request to the engage API, as received and as answered.

    `index`: its number, in order of arrival, from 0. `page`: the page index asked for (0 if none
    was named), None if it was no number. `session_id`: as sent, None if absent or empty.
    `status`: as sent, None if the connection went without one. `query`, `form`: the parameters
    of the URL and of the body (a JSON body's values that are no texts, as JSON). `headers`: names
    in lower case, credentials as `***`. `started`, `finished`: `time.monotonic()` when the
    headers were in and when the answer was written. `fault`: the kind of the fault it met.
    `counted`: whether it counted against the hourly limit.
    """

    index: int
    method: str
    path: str
    page: int | None
    session_id: str | None
    status: int | None
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    started: float
    finished: float
    fault: str | None
    counted: bool


@dataclass(frozen=True)
class SimulatorStats:
    """A snapshot of what happened since the start or the last reset.

    `requests`: the last 50,000 finished ones, in order of arrival. `received`: how many arrived.
    `in_flight`, `max_in_flight`: how many are and most were being handled at once. `pages`,
    `statuses`, `faults`: how often each page was asked for, each status sent, each kind of fault
    met. `counted_queries`: how many counted against the hour. `sessions`: how many were opened.
    """

    requests: tuple[RequestRecord, ...] = ()
    received: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    pages: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    counted_queries: int = 0
    sessions: int = 0

    def to_json(self) -> bytes:
        """Write the snapshot for the control path."""
        records = [vars(record) for record in self.requests]
        return json.dumps({**vars(self), "requests": records}).encode("ascii")

    @classmethod
    def from_json(cls, text: bytes) -> SimulatorStats:
        """Read what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        records = tuple(RequestRecord(**record) for record in values.pop("requests"))
        pages = Counter({int(page): times for page, times in values.pop("pages").items()})
        statuses = Counter({int(code): times for code, times in values.pop("statuses").items()})
        faults = Counter(values.pop("faults"))
        return cls(records, pages=pages, statuses=statuses, faults=faults, **values)


# What a Visit holds while it lasts and its record does not.
_PASSING = frozenset({"epoch", "running"})


@dataclass
class Visit:
    """One request while it is being handled: what will become its record.

    `epoch`: how many resets there were before it. `running`: whether it holds a place among the
    queries at once.
    """

    index: int
    epoch: int
    started: float = field(default_factory=time.monotonic)
    method: str = ""
    path: str = ""
    page: int | None = None
    session_id: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    fault: str | None = None
    counted: bool = False
    running: bool = False

    def record(self) -> RequestRecord:
        """Give the record of a visit that ends now."""
        values = {name: value for name, value in vars(self).items() if name not in _PASSING}
        return RequestRecord(finished=time.monotonic(), **values)


class Traffic:
    """Counts what arrives and departs. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self._max_in_flight = 0
        self._epoch = 0
        self._clear()

    def arrive(self) -> Visit:
        """Open the visit of a request whose headers are in."""
        with self._lock:
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
            self._received += 1
            return Visit(index=self._received - 1, epoch=self._epoch)

    def depart(self, visit: Visit) -> None:
        """Close a visit and keep its record; once only."""
        record = visit.record()
        with self._lock:
            self._in_flight -= 1
            if visit.epoch != self._epoch:
                return  # it belongs to what a reset forgot
            self._records.append(record)
            self._statuses.update([] if record.status is None else [record.status])
            self._faults.update([] if record.fault is None else [record.fault])
            self._pages.update([] if record.page is None else [record.page])
            self._counted += record.counted

    def gathered(self, many: int, stopping: threading.Event) -> None:
        """Wait until `many` requests have been in flight at once, or ten seconds."""
        until = time.monotonic() + 10
        while self._max_in_flight < many and time.monotonic() < until:
            if stopping.wait(0.005):
                return

    def session_opened(self) -> None:
        """Count a session."""
        with self._lock:
            self._sessions += 1

    def snapshot(self) -> SimulatorStats:
        """Give the counts so far."""
        with self._lock:
            return SimulatorStats(
                requests=tuple(sorted(self._records, key=_arrival)),
                received=self._received,
                in_flight=self._in_flight,
                max_in_flight=self._max_in_flight,
                pages=Counter(self._pages),
                statuses=Counter(self._statuses),
                faults=Counter(self._faults),
                counted_queries=self._counted,
                sessions=self._sessions,
            )

    def reset(self) -> None:
        """Forget everything but the requests still in flight."""
        with self._lock:
            self._epoch += 1
            self._clear()

    def _clear(self) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=MAX_RECORDS)
        self._pages: Counter[int] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._received = 0
        self._counted = 0
        self._sessions = 0
        self._max_in_flight = self._in_flight


def _arrival(record: RequestRecord) -> int:
    return record.index
