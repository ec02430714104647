"""The bytes of pages that are asked for or here, and not landed yet."""

from __future__ import annotations

import time
from collections.abc import Callable


class InflightBytes:
    """Lets pages be asked for while they all fit into ``limit`` bytes; one always may.

    How large a page will be is guessed from the largest one seen. Waiting polls, for the reason
    that :class:`~mixpanel_fetch.quota.ConcurrencyGate` gives. Among greenlets the limit is exact
    but for the guess; threads that reserve in the same instant may overshoot by a page each. And
    when nothing has landed for ``patience`` seconds, one more page may be asked for: a strategy
    that holds back all its pages until it has the last one must not wait for ever.
    """

    def __init__(
        self,
        limit: int,
        *,
        poll: float = 0.005,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limit = limit
        self.largest = 0
        self._poll = poll
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._moved = clock()
        self._pages: dict[int, int] = {}

    @property
    def used(self) -> int:
        """The bytes under way."""
        return sum(list(self._pages.values()))

    def reserve(self, page: int) -> None:
        """Wait until ``page`` may be asked for, and count what it is likely to bring."""
        while self._pages and self.used + self.largest > self.limit:
            if self._clock() - self._moved > self._patience:
                break
            self._sleep(self._poll)
        self._pages[page] = self.largest
        self._moved = self._clock()

    def arrived(self, page: int, size: int) -> None:
        """Count ``page`` with the ``size`` that it has."""
        self.largest = max(self.largest, size)
        self._pages[page] = size

    def release(self, page: int) -> None:
        """Forget ``page``: it has landed, or will not come. Twice does no harm."""
        self._pages.pop(page, None)
        self._moved = self._clock()
