"""The bytes of pages that are asked for or here, and not landed yet."""

from __future__ import annotations

import time
from collections.abc import Callable


class InflightBytes:
    """Lets pages be asked for while they all fit into ``limit`` bytes; one always may.

    How large a page will be is guessed from the largest one seen. Waiting polls, for the reason
    that :class:`~mixpanel_fetch.quota.ConcurrencyGate` gives. Among greenlets the limit is exact
    but for the guess; threads that reserve in the same instant may overshoot by a page each.
    """

    def __init__(
        self,
        limit: int,
        *,
        poll: float = 0.005,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limit = limit
        self.largest = 0
        self._poll = poll
        self._sleep = sleep
        self._pages: dict[int, int] = {}

    @property
    def used(self) -> int:
        """The bytes under way."""
        return sum(list(self._pages.values()))

    def reserve(self, page: int) -> None:
        """Wait until ``page`` may be asked for, and count what it is likely to bring."""
        while self._pages and self.used + self.largest > self.limit:
            self._sleep(self._poll)
        self._pages[page] = self.largest

    def arrived(self, page: int, size: int) -> None:
        """Count ``page`` with the ``size`` that it has."""
        self.largest = max(self.largest, size)
        self._pages[page] = size

    def release(self, page: int) -> None:
        """Forget ``page``: it has landed, or will not come. Twice does no harm."""
        self._pages.pop(page, None)
