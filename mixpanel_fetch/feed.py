"""Pages on their way from the strategy into the run's thread, and their outcomes on the way back.

One greenlet iterates the strategy, whose own greenlets wait for the network. Another hands what
has arrived to the run's thread: all that waits at once, so that a sink may land it in one
transaction; the more it falls behind, the larger its groups. The caller takes the outcomes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gevent
import gevent.lock
import gevent.queue

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.protocols import PageSource, TableLoad
from mixpanel_fetch.runthread import RunThread, timed_wait
from mixpanel_fetch.source import EngagePages
from mixpanel_fetch.tally import Settled

_END = None
_MORE = object()
_GLANCE = 0.1  # seconds between two looks at whether to stop


class Lander:
    """What the run's thread does with pages: transform them, write them, keep only the figures."""

    def __init__(self, plan: Plan, load: TableLoad) -> None:
        self._plan = plan
        self._load = load
        self._write_pages = getattr(load, "write_pages", self._write_each)

    def land(self, pages: Sequence[Page]) -> list[Settled]:
        """Transform and write. A transform that raises fails its page; a sink, the run."""
        settled = []
        batches = []
        for page in pages:
            try:
                batches.append((page, self._plan.transformed(page.batch)))
            except MixpanelFetchError as error:
                failure = PageFailure(page.index, "transform", error, page.attempts)
                settled.append(Settled.of_page(page, failure=failure))
        return settled + (self.write(batches) if batches else [])

    def write(self, batches: Sequence[tuple[Page, Batch]]) -> list[Settled]:
        """Write each batch, which the page beside it was transformed to."""
        pages = [(page.index, batch) for page, batch in batches]
        rows = self._plan.sink.call(self._write_pages, pages)
        if not isinstance(rows, list) or len(rows) != len(pages):
            raise self._plan.sink.fault(f"write_pages returned {rows!r}, not the rows of each page")
        settled = []
        for (page, batch), landed in zip(batches, rows, strict=True):
            if not isinstance(landed, int):
                raise self._plan.sink.fault(f"write returned {landed!r}, not the rows landed")
            dropped = max(0, len(page.batch) - len(batch))
            settled.append(Settled.of_page(page, rows_landed=landed, rows_dropped=dropped))
        return settled

    def _write_each(self, pages: Sequence[tuple[int, Batch]]) -> list[int]:
        return [self._load.write(index, batch) for index, batch in pages]


class Feed:
    """One run's pages after the first. Use from the thread and hub of the run.

    As many pages as the strategy asks for at once may wait for the sink or be landed by it; with
    more, the strategy waits.
    """

    def __init__(self, plan: Plan, thread: RunThread, source: EngagePages) -> None:
        self._plan = plan
        self._thread = thread
        self._source = source
        self._places = gevent.lock.Semaphore(plan.workers)
        self._arrived: gevent.queue.Queue[Any] = gevent.queue.Queue()
        self._settled: gevent.queue.Queue[Any] = gevent.queue.Queue()
        self._asking: gevent.Greenlet[..., None] | None = None
        self._landing: gevent.Greenlet[..., None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to ask for the pages."""
        self._asking = gevent.spawn(self._ask)

    def land(self, load: TableLoad, first: Page, batch: Batch) -> None:
        """Begin to land: the first page, already transformed, then the others."""
        self._landing = gevent.spawn(self._land, Lander(self._plan, load), [(first, batch)])

    def settled(self, glance: Callable[[], None]) -> Iterator[Settled]:
        """Yield what became of each page, in the order they came.

        Calls ``glance`` every tenth of a second; what it raises ends the iteration. Raises what
        the sink or the strategy raised.
        """
        while (outcome := self._next(glance)) is not _END:
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
            glance()

    def stop(self) -> list[Settled]:
        """Ask for nothing more; return the outcomes of pages that had landed meanwhile.

        Waits for the sink where it is at work. What it has not begun with is dropped.
        """
        self._stopping = True
        if self._asking is not None:
            self._asking.kill()
        if self._landing is not None:
            self._arrived.put(_END)
            self._landing.join()
        rest = []
        while not self._settled.empty():
            outcome = self._settled.get()
            # The run has its reason to stop already; an error now adds nothing.
            if isinstance(outcome, Settled):
                rest.append(outcome)
        return rest

    def _next(self, glance: Callable[[], None]) -> Any:
        while True:
            with contextlib.suppress(gevent.queue.Empty), timed_wait():
                return self._settled.get(timeout=_GLANCE)
            glance()

    # A greenlet's body never raises: gevent would print it. Errors travel as values.

    def _ask(self) -> None:
        try:
            with contextlib.closing(outcomes(self._plan, self._source)) as items:
                for item in items:
                    if isinstance(item, PageFailure):
                        self._settled.put(Settled.of_failure(item))
                    else:
                        self._places.acquire()
                        self._arrived.put(item)
                    del item  # or it would stay until the next one comes
            self._arrived.put(_END)
        except Exception as error:  # noqa: BLE001
            self._arrived.put(error)

    def _land(self, lander: Lander, first: list[tuple[Page, Batch]]) -> None:
        try:
            self._put(self._thread.call(lander.write, first))
            first.clear()
            end = _MORE
            while end is _MORE and not self._stopping:
                end = self._land_waiting(lander)
            self._settled.put(_END if end is _MORE else end)
        except BaseException as error:  # noqa: BLE001
            self._settled.put(error)

    def _land_waiting(self, lander: Lander) -> object:
        """Land the pages that wait, at least one; return what ends them, if that has come."""
        items = [self._arrived.get()]
        while not self._arrived.empty():
            items.append(self._arrived.get())
        end = _MORE if isinstance(items[-1], Page) else items.pop()
        if items and not self._stopping:
            self._put(self._thread.call(lander.land, items))
            for _ in items:
                self._places.release()
        return end

    def _put(self, outcomes: Sequence[Settled]) -> None:
        for outcome in outcomes:
            self._source.landed(outcome.index)
            self._settled.put(outcome)


def outcomes(plan: Plan, source: PageSource) -> Generator[Page | PageFailure, None, None]:
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
                del item
    except MixpanelFetchError:
        raise
    except Exception as error:
        raise plan.strategy_fault(one_line_of(error)) from error
    if due:
        raise plan.strategy_fault(f"it left out page {min(due)}")


def _closable(iterator: Any) -> Any:
    """Return ``iterator`` with a ``close``: a strategy may return one that is no generator."""
    return iterator if hasattr(iterator, "close") else (item for item in iterator)
