"""One strategy on the bench: pages from memory to fetch, and what is left behind."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import MixpanelFetchError, ServerError
from mixpanel_fetch.model import Page, PageFailure, ProfileQuery
from mixpanel_fetch.plugins import PluginHost
from mixpanel_fetch.protocols import FetchStrategy, Gate, PageSource
from mixpanel_fetch.testing.cases import StrategyCase
from mixpanel_fetch.testing.fetching import client_of, host_of

if TYPE_CHECKING:
    from mixpanel_fetch.simulator import EngageSimulator

Outcome = Page | PageFailure
GRACE = 3.0
"""Seconds that a thread or a process may take to end."""


@dataclass(frozen=True)
class Script:
    """What the pages in memory are like. A PageFetcher: it can be sent to another process.

    ``failing``: pages that end in a failure. ``crash_at``: the page at which the source breaks,
    in a way that no source should. ``seconds``: how long a page takes.
    """

    total_pages: int
    failing: frozenset[int] = frozenset()
    crash_at: int | None = None
    seconds: float = 0.001

    def open(self, gate: Gate) -> ScriptedPages:
        """Return the pages, which then take their slots from ``gate``."""
        return ScriptedPages(self, gate)


class Stopping(threading.Thread):
    """Sets ``cancel`` once a page after the first one was asked for. ``told_at``: when."""

    def __init__(self, simulator: EngageSimulator, cancel: threading.Event) -> None:
        super().__init__(daemon=True)
        self.told_at = time.monotonic()
        self._simulator = simulator
        self._cancel = cancel

    def run(self) -> None:
        """Look, for as long as a slow machine may take to come there."""
        latest = time.monotonic() + 60
        while self._simulator.stats.received < 2 and time.monotonic() < latest:
            time.sleep(0.01)
        self.told_at = time.monotonic()
        self._cancel.set()


class ScriptedPages:
    """A :class:`~mixpanel_fetch.protocols.PageSource` that notes what is done with it."""

    def __init__(self, script: Script, gate: Gate | None = None) -> None:
        self.total_pages = script.total_pages
        self.script = script
        self.asked: list[int] = []
        self.in_flight = 0
        self.alive: weakref.WeakValueDictionary[int, Page] = weakref.WeakValueDictionary()
        self._gate = gate
        self._lock = threading.Lock()

    def attempt(self, index: int) -> Outcome:
        """Return page ``index``, or its failure."""
        try:
            return self.fetch(index)
        except MixpanelFetchError as error:
            return PageFailure(index, "fetch", error)

    def fetch(self, index: int) -> Page:
        """Return page ``index`` after a moment. Raises ServerError for one that fails."""
        self._count(index, 1)
        try:
            self._wait()
        finally:
            self._count(index, -1)
        if index == self.script.crash_at:
            raise RuntimeError("the source broke")
        if index in self.script.failing:
            raise ServerError(f"page {index} fails")
        page = Page(index, Batch([f"user-{index}"], [b"{}"], [None]), rows_received=1)
        self.alive[index] = page
        return page

    def portable(self) -> Script:
        """Return the picklable twin."""
        return self.script

    def landed(self, index: int) -> None:
        """Take note of nothing."""

    def close(self) -> None:
        """Hold nothing, let go of nothing."""

    def _wait(self) -> None:
        from mixpanel_fetch.transport import pause

        if self._gate is not None:
            self._gate.acquire()
        try:
            pause(self.script.seconds)
        finally:
            if self._gate is not None:
                self._gate.release()

    def _count(self, index: int, change: int) -> None:
        with self._lock:
            self.in_flight += change
            if change > 0:
                self.asked.append(index)


class StrategyBench:
    """What the tests of a strategy do with it."""

    def __init__(self, case: StrategyCase) -> None:
        self.case = case

    @cached_property
    def host(self) -> PluginHost:
        """The plugins there are."""
        return host_of(self.case.spec)

    def strategy(self, max_workers: int | None = None) -> FetchStrategy:
        """Return the strategy, made anew."""
        registered = self.host.strategy(self.case.strategy)
        made: FetchStrategy = registered.make(
            max_workers=max_workers or self.case.max_workers, options=dict(self.case.options)
        )
        return made

    def ahead(self, strategy: FetchStrategy) -> int:
        """Return how many pages may have been asked for beyond those that were taken."""
        if self.case.ahead is not None:
            return self.case.ahead
        return 2 * int(getattr(strategy, "size", self.case.max_workers)) + 2


@contextmanager
def hub_of_its_own() -> Iterator[None]:
    """Give this thread a hub for a while, as the pipeline does."""
    from mixpanel_fetch.transport import HubLease

    with HubLease():
        yield


@contextmanager
def session_of(simulator: EngageSimulator, page_size: int) -> Iterator[Any]:
    """Open a session on a simulator, and yield its pages as the pipeline's source has them."""
    from mixpanel_fetch.paging import Paging
    from mixpanel_fetch.source import open_session

    client = client_of(simulator)
    with hub_of_its_own(), client.connect() as connection:
        source, _ = open_session(connection, client.settings, ProfileQuery(), Paging(page_size))
        yield source


def take(
    strategy: FetchStrategy, source: PageSource, pages: Sequence[int], most: int | None = None
) -> list[Outcome]:
    """Run ``strategy`` and return its outcomes: the first ``most``, then it is closed."""
    taken: list[Outcome] = []
    with hub_of_its_own():
        outcomes = strategy.run(source, pages)
        with closing(outcomes) if hasattr(outcomes, "close") else _nothing():  # type: ignore[type-var]
            while most is None or len(taken) < most:
                outcome = next(iter(outcomes), None)
                if outcome is None:
                    break
                taken.append(outcome)
    return taken


def leftovers(before: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the greenlets, threads and processes that are there and were not ``before``.

    What is about to end is given some seconds to do so.
    """
    deadline = time.monotonic() + GRACE
    while (found := _running() - before) and before and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _running() -> frozenset[str]:
    import gevent

    gc.collect()
    greenlets = {
        f"greenlet {id(one):x}"
        for one in gc.get_objects()
        if isinstance(one, gevent.Greenlet) and not one.dead
    }
    threads = {f"thread {one.name} {one.ident}" for one in threading.enumerate()}
    multiprocessing.active_children()  # it also collects those that have ended
    return frozenset(greenlets | threads | {f"process {pid}" for pid in _children()})


def _children() -> set[str]:
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return {str(child.pid) for child in multiprocessing.active_children()}
    found: set[str] = set()
    for task in tasks.iterdir():
        try:
            found.update((task / "children").read_text().split())
        except OSError:  # the thread has ended meanwhile
            continue
    return found


@contextmanager
def _nothing() -> Iterator[None]:
    yield
