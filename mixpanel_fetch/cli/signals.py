"""Ctrl-C and SIGTERM, for commands: they set an event, and the fetch ends by itself."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, SIGINT and SIGTERM set :attr:`event`; a second one interrupts at once.

    :attr:`exit_code` is 130 or 143 once a signal came, else None. Handlers are put back on exit.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.exit_code: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in _WATCHED:
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.event.is_set():
            raise KeyboardInterrupt
        self.exit_code = 128 + number
        self.event.set()
