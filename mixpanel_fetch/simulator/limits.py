"""The two limits of the Query API, per hour and at once, and the 429s that tell of them."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.messages import ApiError

HOUR = 3600
MORE_INFORMATION = (
    "For more information, please consult our documentation at "
    "https://docs.mixpanel.com/reference/rate-limits"
)


class Limits:
    """Admits queries or says which limit they would break. Safe to use from any thread.

    `clock` gives seconds; it need not be the time of day.
    """

    def __init__(self, config: SimulatorConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._counted: deque[float] = deque()

    def counts(self, *, in_session: bool) -> bool:
        """Tell whether a query counts against the hour: session pages do not (facts sheet 5.2)."""
        return self._config.count_session_pages or not in_session

    def admit(self, *, in_session: bool) -> None:
        """Let a query run, to be released later, or raise the ApiError of a 429.

        A refused query counts against nothing (facts sheet 5.6).
        """
        now = self._clock()
        with self._lock:
            self._forget(now)
            limited = self._config.session_pages_concurrent or not in_session
            if limited and self._is_full:
                raise self.too_many_at_once()
            counts = self.counts(in_session=in_session)
            if counts and self._is_spent:
                raise self.too_many_an_hour(wait=self._time_to_wait(now))
            if counts:
                self._counted.append(now)
            self._running += limited

    def release(self, *, in_session: bool) -> None:
        """Let go of an admitted query."""
        limited = self._config.session_pages_concurrent or not in_session
        with self._lock:
            self._running -= limited

    def too_many_at_once(self, retry_after: str | None = None) -> ApiError:
        """Give the 429 of the concurrency limit, `retry_after` in place of its own header."""
        limit = self._at_once
        running = max(self._running, limit) + 1
        wait = _whole(retry_after, self._config.concurrency_retry_after)
        return self._refusal(
            f"This request exceeded the concurrency limit "
            f"({running}/{limit} queries running concurrently).",
            f'"project";r={self._remaining}, "project-concurrency";r=0;t={wait}',
            str(wait) if retry_after is None else retry_after,
            echo_request=False,
        )

    def too_many_an_hour(self, wait: int = HOUR, retry_after: str | None = None) -> ApiError:
        """Give the 429 of the hourly limit; `wait` in seconds."""
        limit = self._hourly
        wait = _whole(retry_after, wait)
        slots = max(self._at_once - self._running, 0)
        return self._refusal(
            f"This request exceeded the rate limit "
            f"({limit + 1}/{limit} queries running in the last hour). {MORE_INFORMATION}",
            f'"project";r=0;t={wait}, "project-concurrency";r={slots}',
            str(wait) if retry_after is None else retry_after,
            echo_request=True,
        )

    def load_shed(self, retry_after: str | None = None) -> ApiError:
        """Give the 429 of a server that sheds load: no numbers and no headers of its own."""
        headers = {"Retry-After": retry_after} if retry_after else {}
        text = f"Query rate limit exceeded for project_id: {self._config.project_id} "
        return ApiError(429, text + MORE_INFORMATION, headers=headers, echo_request=False)

    @property
    def _remaining(self) -> int:
        return max(self._hourly - len(self._counted), 0)

    @property
    def _hourly(self) -> int:
        limit = self._config.hourly_limit
        return 60 if limit is None else limit

    @property
    def _at_once(self) -> int:
        limit = self._config.concurrency_limit
        return 5 if limit is None else limit

    @property
    def _is_full(self) -> bool:
        limit = self._config.concurrency_limit
        return limit is not None and self._running >= limit

    @property
    def _is_spent(self) -> bool:
        limit = self._config.hourly_limit
        return limit is not None and len(self._counted) >= limit

    def _time_to_wait(self, now: float) -> int:
        return math.ceil(self._counted[0] + HOUR - now) if self._counted else HOUR

    def _forget(self, now: float) -> None:
        while self._counted and self._counted[0] <= now - HOUR:
            self._counted.popleft()

    def _refusal(
        self, sentence: str, state: str, retry_after: str, *, echo_request: bool
    ) -> ApiError:
        text = f"Query rate limit exceeded for project_id: {self._config.project_id}. {sentence}"
        headers: dict[str, str] = {}
        if self._config.rate_limit_headers:
            headers.update(self._policy(), RateLimit=state)
        if self._config.rate_limit_headers and retry_after:
            headers["Retry-After"] = retry_after
        return ApiError(429, text, headers=headers, echo_request=echo_request)

    def _policy(self) -> Mapping[str, str]:
        return {
            "RateLimit-Policy": f'"project";q={self._hourly};w={HOUR}, '
            f'"project-concurrency";q={self._at_once};qu="concurrent-requests"'
        }


def _whole(text: str | None, otherwise: int) -> int:
    """Read whole seconds, so that RateLimit's `t` agrees with a Retry-After that was set."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else otherwise
