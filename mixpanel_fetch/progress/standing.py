"""How far a run has come: a fold over its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mixpanel_fetch.events import Event, PageDone, Publishing, RunEnded, RunOpened, Waiting
from mixpanel_fetch.progress.speed import Speed
from mixpanel_fetch.result import RunResult

Phase = Literal["opening", "fetching", "publishing", "ended"]
_SHORT = 1.0  # seconds: a wait that is over before it can be read is not worth a word

_TELLING = 3  # pages: the first comes alone, and says little of the others


@dataclass(frozen=True)
class Wait:
    """A page waits until ``until``, a moment of the monotonic clock, to be asked for again."""

    page: int
    reason: str
    until: float
    by_quota: bool


class Standing:
    """What there is to show of a run. ``now`` is always that of a monotonic clock, in seconds.

    ``landed`` counts the pages held from before a resume, too; ``rows`` only what landed now.
    """

    def __init__(self, now: float) -> None:
        self.began = now
        self.phase: Phase = "opening"
        self.total_pages = 0
        self.landed = 0
        self.failed = 0
        self.rows = 0
        self.retries = 0
        self.result: RunResult | None = None
        self._before = 0  # pages settled when it began
        self._waits: dict[int, Wait] = {}
        self._row_speed = self._page_speed = Speed(now)

    @property
    def settled(self) -> int:
        """The pages that need no more work."""
        return self.landed + self.failed

    def take(self, event: Event, now: float) -> None:
        """Take one event in."""
        match event:
            case Waiting():
                self._wait(event, now)
            case RunOpened():
                self._open(event, now)
            case PageDone():
                self._page(event, now)
            case Publishing():
                self.phase = "publishing"
            case RunEnded():
                self.phase = "ended"
                self._waits.clear()
                self.result = event.result

    def wait(self, now: float) -> Wait | None:
        """Return what is waited for: a quota before a fault, then whatever takes longest."""
        waits = [one for one in self._waits.values() if one.until > now]
        return max(waits, key=lambda one: (one.by_quota, one.until), default=None)

    def rows_per_second(self, now: float) -> float:
        """Return how fast rows land lately; over the whole run once it has ended."""
        if self.result is not None:
            return self.rows / self.result.duration_seconds if self.result.duration_seconds else 0.0
        return self._row_speed.per_second(now)

    def seconds_left(self, now: float) -> float | None:
        """Return how long the other pages may take, None where nothing tells."""
        speed = self._page_speed.per_second(now)
        if self.phase != "fetching" or not speed or self.settled - self._before < _TELLING:
            return None
        return (self.total_pages - self.settled) / speed

    def _open(self, event: RunOpened, now: float) -> None:
        began = self.began if self.phase == "opening" else now  # else the session began anew
        self.phase = "fetching"
        self.total_pages = event.run.total_pages
        self.landed = event.landed_pages
        self.failed = self.rows = 0
        self._waits.clear()
        self._before = self.settled
        self._row_speed = Speed(began)
        self._page_speed = Speed(began, self.settled)

    def _page(self, event: PageDone, now: float) -> None:
        self._waits.pop(event.progress.page_index, None)
        self.landed += event.progress.success
        self.failed += not event.progress.success
        self.rows += event.progress.rows
        self._row_speed.add(now, self.rows)
        self._page_speed.add(now, self.settled)

    def _wait(self, event: Waiting, now: float) -> None:
        self.retries += 1
        if event.seconds >= _SHORT:
            by_quota = event.limit is not None
            self._waits[event.page] = Wait(event.page, event.reason, now + event.seconds, by_quota)
