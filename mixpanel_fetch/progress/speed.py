"""How fast a count grows lately."""

from __future__ import annotations

from collections import deque

_WINDOW = 15.0  # seconds: long enough for five pages at once to come evenly


class Speed:
    """The rate of a count over the last seconds; ``now`` is always that of a monotonic clock."""

    def __init__(self, now: float, count: int = 0, *, window: float = _WINDOW) -> None:
        self._window = window
        self._samples = deque([(now, count)])

    def add(self, now: float, count: int) -> None:
        """Note that the count has come to ``count``."""
        self._samples.append((now, count))

    def per_second(self, now: float) -> float:
        """Return the growth a second, 0 where there was none."""
        while len(self._samples) > 1 and self._samples[1][0] <= now - self._window:
            self._samples.popleft()
        (first, before), (_, count) = self._samples[0], self._samples[-1]
        since = max(first, now - self._window)
        return (count - before) / (now - since) if now > since else 0.0
