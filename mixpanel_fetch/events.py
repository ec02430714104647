"""What happens while a run goes on, as values for whoever watches it: a display, a log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mixpanel_fetch.model import ProfileBatchProgress, RunInfo
from mixpanel_fetch.result import RunResult

log = logging.getLogger("mixpanel_fetch")


@dataclass(frozen=True)
class Waiting:
    """A request failed and is made again after ``seconds``; ``reason`` is one line.

    ``attempt`` counts the requests for this page so far. ``limit`` names the quota that is waited
    for (``"hourly"``, ``"concurrency"``, ``"unknown"``), None where it is a fault.
    """

    page: int
    reason: str
    seconds: float
    attempt: int
    limit: str | None = None


@dataclass(frozen=True)
class RunOpened:
    """The session is open: ``run`` says how much there is. ``landed_pages``: held from before."""

    run: RunInfo
    landed_pages: int = 0


@dataclass(frozen=True)
class PageDone:
    """A page landed or failed for good, ``seconds`` after the run began."""

    run_id: str
    progress: ProfileBatchProgress
    seconds: float


@dataclass(frozen=True)
class Publishing:
    """Every page has been seen, and the sink makes the table visible."""

    run_id: str
    seconds: float


@dataclass(frozen=True)
class RunEnded:
    """The run is over; ``result`` is what the caller gets."""

    result: RunResult


Event = Waiting | RunOpened | PageDone | Publishing | RunEnded
Listener = Callable[[Event], None]


class Announcer:
    """Tells a listener what happens. One that raises is logged, left out, and fails nothing."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener

    def __call__(self, event: Event) -> None:
        """Tell ``event``; does nothing without a listener."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception as error:  # noqa: BLE001  (whoever watches must not disturb)
            self._listener = None
            log.warning("on_event raised %s and is not called again", type(error).__name__)
