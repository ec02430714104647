"""Pages on their way from the strategy into the run's thread, and their outcomes on the way back.

The feed's greenlet iterates the strategy, whose own greenlets wait for the network; the run's
thread lands one page while the next is in hand. The caller takes outcomes in that order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.queue

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.protocols import PageSource, TableLoad
from mixpanel_fetch.runthread import Pending, RunThread, timed_wait
from mixpanel_fetch.tally import Settled

_END = None
_GLANCE = 0.1  # seconds between two looks at whether to stop


class Lander:
    """What the run's thread does with a page: transform it, write it, keep only its figures."""

    def __init__(self, plan: Plan, load: TableLoad) -> None:
        self._plan = plan
        self._load = load

    def land(self, page: Page) -> Settled:
        """Transform and write. A transform that raises fails the page; a sink, the run."""
        try:
            batch = self._plan.transformed(page.batch)
        except MixpanelFetchError as error:
            failure = PageFailure(page.index, "transform", error, page.attempts)
            return Settled.of_page(page, failure=failure)
        return self.write(page, batch)

    def write(self, page: Page, batch: Batch) -> Settled:
        """Write ``batch``, which ``page`` was transformed to."""
        landed = self._plan.sink.call(self._load.write, page.index, batch)
        if not isinstance(landed, int):
            raise self._plan.sink.fault(f"write returned {landed!r}, not the rows landed")
        dropped = max(0, len(page.batch) - len(batch))
        return Settled.of_page(page, rows_landed=landed, rows_dropped=dropped)


class Feed:
    """One run's pages after the first. Use from the thread and hub of the run."""

    def __init__(self, plan: Plan, thread: RunThread, load: TableLoad) -> None:
        self._plan = plan
        self._thread = thread
        self._lander = Lander(plan, load)
        self._queue: gevent.queue.Queue[Any] = gevent.queue.Queue()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self, source: PageSource, first: Page, batch: Batch) -> None:
        """Land the first page, already transformed, and begin to ask for the others."""
        self._queue.put(self._thread.submit(self._lander.write, first, batch))
        self._greenlet = gevent.spawn(self._feed, source)

    def settled(self, glance: Callable[[], None]) -> Iterator[Settled]:
        """Yield what became of each page, in the order they came.

        Calls ``glance`` every tenth of a second; what it raises ends the iteration. Raises what
        the sink or the strategy raised.
        """
        while (pending := self._next(glance)) is not _END:
            if isinstance(pending, BaseException):
                raise pending
            if isinstance(pending, Pending):
                while not pending.wait(_GLANCE):
                    glance()
                pending = pending.result()
            yield pending
            glance()

    def stop(self) -> list[Settled]:
        """Ask for nothing more; return the outcomes of pages that had landed meanwhile."""
        if self._greenlet is not None:
            self._greenlet.kill()
        rest = []
        while not self._queue.empty():
            pending = self._queue.get()
            if isinstance(pending, Pending):
                # The run has its reason to stop already; a second one adds nothing.
                with contextlib.suppress(Exception):
                    rest.append(pending.result())
        return rest

    def _next(self, glance: Callable[[], None]) -> Any:
        while True:
            with contextlib.suppress(gevent.queue.Empty), timed_wait():
                return self._queue.get(timeout=_GLANCE)
            glance()

    def _feed(self, source: PageSource) -> None:
        # A greenlet's body never raises: gevent would print it. Errors travel as values.
        try:
            for item in outcomes(self._plan, source):
                if isinstance(item, PageFailure):
                    self._queue.put(Settled.of_failure(item))
                else:
                    self._queue.put(self._thread.submit(self._lander.land, item))
            self._queue.put(_END)
        except Exception as error:  # noqa: BLE001
            self._queue.put(error)


def outcomes(plan: Plan, source: PageSource) -> Iterator[Page | PageFailure]:
    """Yield the strategy's outcome of each page after the first, exactly once.

    Raises PluginError where the strategy raises, repeats an index, or leaves one out.
    """
    due = set(range(1, source.total_pages))
    if not due:
        return
    try:
        with contextlib.closing(_closable(plan.strategy.run(source, sorted(due)))) as items:
            for item in items:
                if item.index not in due:
                    raise plan.strategy_fault(f"it gave page {item.index} twice or unasked")
                due.remove(item.index)
                yield item
    except MixpanelFetchError:
        raise
    except Exception as error:
        raise plan.strategy_fault(one_line_of(error)) from error
    if due:
        raise plan.strategy_fault(f"it left out page {min(due)}")


def _closable(iterator: Any) -> Any:
    """Return ``iterator`` with a ``close``: a strategy may return one that is no generator."""
    return iterator if hasattr(iterator, "close") else (item for item in iterator)
