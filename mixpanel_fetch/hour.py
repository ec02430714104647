"""What the processes of this machine know together of one project's hourly quota."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from mixpanel_fetch.answers import server_text
from mixpanel_fetch.errors import RateLimitError
from mixpanel_fetch.quota import LONGEST_SANE_WAIT, hourly_limit, read_rate_limit
from mixpanel_fetch.shared_files import SharedFiles
from mixpanel_fetch.transport import Answer

HOUR = 3600.0
DEFAULT_LIMIT = 60
"""Counted queries an hour: what Mixpanel documents. A server may name another limit."""

_UNCOUNTED = frozenset({401, 402, 403, 429})
_DRIFT = 60.0  # seconds that a clock may be off; what lies further ahead, a wrong one wrote


@dataclass
class _Hour:
    """When queries were counted; until when, and at which limit, the server wants no more."""

    asked: list[float] = field(default_factory=list)
    until: float = 0.0
    limit: int | None = None

    @classmethod
    def parse(cls, text: bytes, now: float) -> _Hour:
        """Return what still matters of ``text``; an empty hour where it makes no sense."""
        try:
            found = json.loads(text)
            asked = sorted(float(moment) for moment in found["asked"])
            until, limit = float(found["until"]), found["limit"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return cls()
        return cls(
            [moment for moment in asked if now - HOUR < moment < now + _DRIFT],
            until if now < until < now + LONGEST_SANE_WAIT + _DRIFT else 0.0,
            limit if type(limit) is int and limit > 0 else None,
        )

    def come_back(self, limit: int) -> float:
        """Return when the next query may be asked (0: now), for a ``limit`` of queries."""
        over = len(self.asked) - limit
        return max(self.until, self.asked[over] + HOUR if over >= 0 else 0.0)


class HourlyBudget:
    """Counts the queries that no session carries, over all processes that share ``files``.

    ``limit`` is that of an hour until a server names its own; ``clock`` is the time of day in
    seconds, which processes have in common.
    """

    def __init__(
        self,
        files: SharedFiles,
        name: str,
        *,
        limit: int = DEFAULT_LIMIT,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._files = files
        self._name = f"{name}.hour"
        self._limit = limit
        self._clock = clock
        self._sleep = sleep

    def take(self) -> float | None:
        """Count a query that is about to be asked; return when, None where nothing is shared.

        Raises RateLimitError, with no ``attempts``, while the hour is known to be used up.
        """
        if self._files.off:
            return None
        try:
            with self._files.locked(f"{self._name}.lock", self._sleep):
                now = self._clock()
                hour = _Hour.parse(self._files.read(self._name), now)
                wait = hour.come_back(hour.limit or self._limit) - now
                if wait <= 0:
                    hour.asked.append(now)
                    self._save(hour)
        except OSError as error:
            self._files.leave_out(error)
            return None
        if wait > 0:
            raise _used_up(hour, wait)
        return now

    def left(self) -> int | None:
        """Return how many queries the hour still has; None where nothing is known of it."""
        if self._files.off:
            return None
        try:
            with self._files.locked(f"{self._name}.lock", self._sleep):
                now = self._clock()
                hour = _Hour.parse(self._files.read(self._name), now)
        except OSError as error:
            self._files.leave_out(error)
            return None
        limit = hour.limit or self._limit
        return 0 if hour.until > now else max(0, limit - len(hour.asked))

    def settle(self, asked: float | None, answer: Answer | None) -> None:
        """Take in the answer to the query of ``asked``; None where none came.

        A query counts when it arrives. One without an answer may not have: it is left out, and
        the server has the last word.
        """
        if asked is None or self._files.off:
            return
        counted = answer is not None and answer.status not in _UNCOUNTED
        refusal, limit = (None, None) if answer is None else _told(answer)
        if counted and limit is None:
            return
        try:
            with self._files.locked(f"{self._name}.lock", self._sleep):
                now = self._clock()
                hour = _Hour.parse(self._files.read(self._name), now)
                if not counted and asked in hour.asked:
                    hour.asked.remove(asked)
                if refusal is not None and refusal.retry_after is not None:
                    hour.until = now + refusal.retry_after
                hour.limit = limit or hour.limit
                self._save(hour)
        except OSError as error:
            self._files.leave_out(error)

    def _save(self, hour: _Hour) -> None:
        self._files.write(self._name, json.dumps(asdict(hour)).encode())


def _told(answer: Answer) -> tuple[RateLimitError | None, int | None]:
    """Return the refusal for the hour, if that is what ``answer`` is, and the limit it names."""
    text = server_text(answer.body) if answer.status == 429 else ""
    refusal = read_rate_limit(answer.headers, text) if answer.status == 429 else None
    hourly = refusal is not None and refusal.limit == "hourly"
    return refusal if hourly else None, hourly_limit(answer.headers, text)


def _used_up(hour: _Hour, wait: float) -> RateLimitError:
    how = (
        "as this machine's processes were told when they asked"
        if hour.until
        else f"by the {len(hour.asked)} queries that this machine's processes asked"
    )
    error = RateLimitError(
        f"the project's hourly query quota is used up, {how} (--no-shared-quota leaves that out)",
        retry_after=wait,
        limit="hourly",
    )
    error.attempts = 0
    return error
