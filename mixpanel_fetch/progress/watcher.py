"""A display of one run that costs the run next to nothing."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from mixpanel_fetch.events import Event
from mixpanel_fetch.progress.standing import Standing

_EVERY = 0.2  # seconds between two looks


class Display(Protocol):
    """Where a run is shown. One thread at a time calls it."""

    def show(self, standing: Standing, now: float) -> None:
        """Show how far the run is. Called several times a second."""

    def write(self, line: str) -> None:
        """Write a line that has nothing to do with the display, and stays."""

    def end(self, standing: Standing, now: float) -> None:
        """Leave the last picture behind."""


class Watcher:
    """Takes events in and has ``display`` show them, from a thread of its own while entered.

    A call only appends to a queue: from any thread or greenlet, without a lock. So a terminal that
    takes nothing holds up no page, and in a process patched by gevent a hub and a thread have no
    lock in common. A display that raises is not shown any more, and disturbs nothing.
    """

    def __init__(self, display: Display, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._standing = Standing(clock())
        self._inbox: deque[tuple[float, Event | str]] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._quiet = False  # nothing is drawn (any more)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._isolated(self._end)
        self._quiet = True
        self._isolated(self._take_all)

    def __call__(self, event: Event) -> None:
        """Take an event of the run in."""
        self._inbox.append((self._clock(), event))

    def write(self, line: str) -> None:
        """Have the display write ``line``, in its turn."""
        self._inbox.append((self._clock(), line))
        if self._quiet:
            self._isolated(self._take_all)

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            self._isolated(self._look)

    def _look(self) -> None:
        self._take_all()
        if not self._quiet:
            self._display.show(self._standing, self._clock())

    def _end(self) -> None:
        self._take_all()
        if not self._quiet:
            self._display.end(self._standing, self._clock())

    def _take_all(self) -> None:
        while self._inbox:
            moment, one = self._inbox.popleft()
            if isinstance(one, str):
                self._display.write(one)
            else:
                self._standing.take(one, moment)

    def _isolated(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:  # noqa: BLE001  (a terminal that went away, say)
            self._quiet = True
