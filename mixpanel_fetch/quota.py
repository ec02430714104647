"""When to ask, when to wait, when to give up. Decides; :mod:`mixpanel_fetch.client` obeys.

Clock, sleep and chance are arguments, so that a test can drive time.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from mixpanel_fetch.errors import (
    ConfigError,
    MixpanelFetchError,
    RateLimitError,
    ServerError,
    TransportError,
)

LONGEST_SANE_WAIT = 2 * 3600.0
"""Seconds. The quota's window is an hour; a server that asks for more is not believed."""

_LIMIT_ITEM = re.compile(r'"([^"]*)"((?:\s*;\s*\w+=(?:"[^"]*"|[^;,\s]*))*)')
_LIMIT_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^;,\s]*))')
_USAGE = re.compile(r"(\d+)/(\d+) queries running (concurrently|in the last hour)")


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None where it says nothing.

    Takes seconds and HTTP dates (RFC 9110, 10.2.3); a date in the past is 0.
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d{1,12}", text, re.ASCII):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds())


def parse_ratelimit(value: str | None) -> dict[str, dict[str, str]]:
    """Return the items of a ``RateLimit`` header: policy name to its parameters.

    Example: ``"project";r=0;t=3600, "project-concurrency";r=3``.
    """
    items = {}
    for name, parameters in _LIMIT_ITEM.findall(value or ""):
        found = _LIMIT_PARAMETER.findall(parameters)
        items[name] = {key: quoted or bare for key, quoted, bare in found}
    return items


def _tripped_by_headers(headers: Mapping[str, str]) -> tuple[str, float | None]:
    for name, parameters in parse_ratelimit(headers.get("RateLimit")).items():
        if parameters.get("r") == "0":
            limit = "concurrency" if "concurrency" in name else "hourly"
            return limit, parse_retry_after(parameters.get("t"))
    return "unknown", None


def _tripped_by_body(text: str) -> str:
    for used, allowed, what in _USAGE.findall(text):
        if int(used) > int(allowed):
            return "concurrency" if what == "concurrently" else "hourly"
    return "unknown"


def read_rate_limit(headers: Mapping[str, str], text: str) -> RateLimitError:
    """Return the error that a 429 means: which limit it was, and when to come back.

    The ``RateLimit`` item with ``r=0`` names the limit; without headers the body does
    ("61/60 queries running in the last hour"); load shedding has neither.
    """
    limit, reset = _tripped_by_headers(headers)
    if limit == "unknown":
        limit = _tripped_by_body(text)
    asked = parse_retry_after(headers.get("Retry-After"))
    retry_after = next(
        (s for s in (asked, reset) if s is not None and s <= LONGEST_SANE_WAIT), None
    )
    said = {
        "hourly": "the project's hourly query quota is used up",
        "concurrency": "the project has too many queries running at once",
        "unknown": "Mixpanel is shedding load",
    }[limit]
    return RateLimitError(said, retry_after=retry_after, limit=limit)


def hourly_limit(headers: Mapping[str, str], text: str = "") -> int | None:
    """Return how many queries an hour the project may ask, None where the answer does not say.

    Example: ``RateLimit-Policy: "project";q=60;w=3600``, or a body's "61/60 queries running in the
    last hour". Some projects may ask more than the usual 60.
    """
    policies = parse_ratelimit(headers.get("RateLimit-Policy")).items()
    named = [p.get("q", "") for name, p in policies if "concurrency" not in name]
    named += [allowed for _, allowed, what in _USAGE.findall(text) if what != "concurrently"]
    return next((int(q) for q in named if re.fullmatch(r"[1-9]\d{0,8}", q, re.ASCII)), None)


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how long, a request is tried again. Times in seconds.

    A transient fault is tried ``max_retries`` more times with exponential backoff and full
    jitter, each wait at most ``cap``. A quota is waited for, however often, at most ``max_wait``
    in all.
    """

    max_retries: int = 3
    max_wait: float = 120.0
    base: float = 0.5
    cap: float = 30.0
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_wait) and self.max_wait >= 0):
            raise ConfigError("max_wait must be a number of seconds, 0 or more")
        if self.max_retries < 0:
            raise ConfigError("max_retries must be 0 or more")

    def wait_before_retry(
        self, error: MixpanelFetchError, attempt: int, waited: float
    ) -> float | None:
        """Return how long to wait before asking again, or None to give up.

        ``attempt`` counts the failures of this kind so far, from 1: quotas apart from faults.
        ``waited`` is the seconds already spent waiting for a quota.
        """
        backoff = self.chance() * min(self.cap, self.base * 2 ** min(attempt - 1, 20))
        left = self.max_wait - waited
        if isinstance(error, RateLimitError):
            return self._wait_for_quota(error, attempt, backoff, left)
        transient = isinstance(error, (ServerError, TransportError)) and error.transient
        if not transient or attempt > self.max_retries:
            return None
        asked = error.retry_after if isinstance(error, ServerError) else None
        return asked if asked is not None and asked <= left else backoff

    def _wait_for_quota(
        self, error: RateLimitError, attempt: int, backoff: float, left: float
    ) -> float | None:
        if left <= 0 or (error.limit == "unknown" and attempt > self.max_retries):
            return None
        asked = error.retry_after
        if error.limit == "hourly" and asked is not None and asked > left:
            return None
        # A little more than asked: five workers told the same second must not all come then.
        wait = backoff if asked is None or asked > left else asked + backoff * 0.1
        return min(wait, left)


def given_up(
    error: MixpanelFetchError, attempts: int, now: datetime | None = None
) -> MixpanelFetchError:
    """Return ``error`` with what a person should know when nothing more is tried."""
    error.attempts = attempts
    if isinstance(error, RateLimitError):
        when = _come_back(error.retry_after, now or datetime.now().astimezone())
        error.args = (f"{error}; {when}, or allow a longer --max-wait",)
    elif attempts > 1:
        error.args = (f"{error} (tried {attempts} times)",)
    return error


def _come_back(seconds: float | None, now: datetime) -> str:
    if seconds is None or seconds < 60:
        return "try again later"
    # The clock shows no seconds: rounded down, it would name a time that is too early.
    moment = now + timedelta(seconds=seconds + 59)
    return f"come back in {math.ceil(seconds / 60)} min (at {moment:%H:%M %z})"


class ConcurrencyGate:
    """At most ``limit`` requests in flight, across greenlets and threads.

    Narrows by one when the server says that too many run at once, down to one, and widens by one
    each ``recovery`` seconds after. Requests sent together are refused together: what comes within
    ``calm`` seconds of a narrowing says nothing new. Waiting polls: it is rare, and a lock shared
    between a hub and a thread would deadlock in a patched process.
    """

    def __init__(
        self,
        limit: int,
        *,
        recovery: float = 10.0,
        calm: float = 1.0,
        poll: float = 0.01,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limit = limit
        self._recovery = recovery
        self._calm = calm
        self._poll = poll
        self._clock = clock
        self._sleep = sleep
        self._slots = deque(range(limit))  # pop and append are atomic
        self._narrowed_to = limit
        self._narrowed_at = clock() - calm

    @property
    def width(self) -> int:
        """How many requests may be in flight now."""
        widened = int((self._clock() - self._narrowed_at) / self._recovery)
        return min(self.limit, self._narrowed_to + widened)

    def acquire(self) -> None:
        """Take a slot; wait until there is one."""
        while not self._take():
            self._sleep(self._poll)

    def _take(self) -> bool:
        if self.limit - len(self._slots) >= self.width:
            return False
        try:
            self._slots.pop()
        except IndexError:
            return False
        return True

    def release(self) -> None:
        """Give a slot back."""
        self._slots.append(0)

    def narrow(self) -> None:
        """Let one request fewer through for a while."""
        now = self._clock()
        if now - self._narrowed_at >= self._calm:
            self._narrowed_to = max(1, self.width - 1)
            self._narrowed_at = now
