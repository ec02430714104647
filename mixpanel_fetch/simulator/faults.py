"""What can go wrong with an answer, scripted page by page."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STATUS_KINDS = frozenset({"400", "401", "402", "403", "404", "500", "502", "503", "504"})
RATE_LIMIT_KINDS = frozenset({"429_hourly", "429_concurrency", "429_load_shed"})
ANSWER_KINDS = STATUS_KINDS | RATE_LIMIT_KINDS | {"status", "expired_session", "html", "redirect"}
PAGE_KINDS = frozenset({"empty", "short", "wrong_page", "duplicates"})
FIELD_KINDS = frozenset({"missing_field", "wrong_type", "big"})
BODY_KINDS = frozenset({"bad_json", "not_object", "bad_gzip", "bomb"})
WIRE_KINDS = frozenset({"slow", "drip", "hang", "close", "reset", "reset_midway", "truncate"})
FAULT_KINDS = ANSWER_KINDS | PAGE_KINDS | FIELD_KINDS | BODY_KINDS | WIRE_KINDS


@dataclass(frozen=True)
class Fault:
    """One scripted misbehaviour.

    `page`: the page index it strikes, None for any. `kind`: one of FAULT_KINDS. `times`: how many
    requests it strikes, None for ever. `after`: how many requests for its page pass before.
    `per_page`: with `page=None`, keep these two counts for each page on its own, so that every
    page fails `times` times.

    What a kind needs besides:

    - `status`: the code of "status". `retry_after`: the Retry-After header of any status or 429
      kind, verbatim ("" leaves it out); a 429 has a default.
    - `seconds`: how long "slow" waits, "drip" takes, "hang" hangs before it closes. Default 1.0,
      for "hang" until the simulator stops.
    - `field`: what "missing_field" leaves out and "wrong_type" falsifies ("results").
    - `rows`: how many rows "short" drops and "duplicates" repeats from the page before, in place
      of its own (1).
    - `location`: where "redirect" (a 302) leads; by default to the same address again.
    - `size`: how many bytes "big" adds to the answer, and "bomb" to what its gzip body unfolds to,
      a thousand to one (16 MiB).

    Raises ValueError for an unknown kind or a count below zero.
    """

    page: int | None
    kind: str
    times: int | None = 1
    after: int = 0
    seconds: float | None = None
    status: int | None = None
    retry_after: str | None = None
    field: str = "results"
    rows: int = 1
    location: str | None = None
    size: int = 16 * 1024 * 1024
    per_page: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            known = ", ".join(sorted(FAULT_KINDS))
            raise ValueError(f"unknown kind of fault {self.kind!r}; known are {known}")
        if self.kind == "status" and self.status is None:
            raise ValueError("a fault of kind 'status' needs a status")
        if self.after < 0 or (self.times is not None and self.times < 0):
            raise ValueError("a fault cannot strike or spare fewer than zero requests")

    @property
    def code(self) -> int:
        """The status that the fault answers with; 200 for those that spoil a good answer."""
        if self.kind in RATE_LIMIT_KINDS:
            return 429
        if self.kind == "status":
            return self.status or 500
        return int(self.kind) if self.kind in STATUS_KINDS else 200


class FaultScript:
    """The faults in force, and how often each has been met. Safe to use from any thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults: Sequence[Fault] = tuple(faults)
        self._met: Counter[tuple[int, int | None]] = Counter()
        self._struck: Counter[tuple[int, int | None]] = Counter()

    def replace(self, faults: Iterable[Fault]) -> None:
        """Put other faults in force; all counts start anew."""
        with self._lock:
            self._faults = tuple(faults)
            self._met.clear()
            self._struck.clear()

    def strike(self, page: int | None) -> Fault | None:
        """Give the fault that a request for `page` meets, None for none.

        Of several that are due the first strikes; the others wait their turn.
        """
        struck: Fault | None = None
        with self._lock:
            for position, fault in enumerate(self._faults):
                if fault.page is None or fault.page == page:
                    key = (position, page if fault.per_page else None)
                    self._met[key] += 1
                    if struck is None and self._is_due(fault, key):
                        struck = fault
                        self._struck[key] += 1
        return struck

    def _is_due(self, fault: Fault, key: tuple[int, int | None]) -> bool:
        exhausted = fault.times is not None and self._struck[key] >= fault.times
        return self._met[key] > fault.after and not exhausted
