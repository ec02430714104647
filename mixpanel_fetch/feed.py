"""Pages on their way from the strategy into the run's thread, and their outcomes on the way back.

One greenlet iterates the strategy, whose own greenlets wait for the network. The run's thread
takes all that has arrived at once, so that a sink may land it in one transaction, and then what
arrived meanwhile; the more it falls behind, the larger its groups. The caller takes the outcomes.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gevent
import gevent.event
import gevent.lock
import gevent.queue

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.protocols import PageSource, TableLoad
from mixpanel_fetch.runthread import Mailbox, RunThread, timed_wait
from mixpanel_fetch.source import EngagePages
from mixpanel_fetch.tally import STOPPING, Settled, noted

_END = None
_MORE = object()
_GLANCE = 0.1  # seconds between two looks at whether to stop


class Lander:
    """What the run's thread does with pages: transform them, write them, keep only the figures.

    ``landed`` is called there with the outcomes of each group.
    """

    def __init__(
        self, plan: Plan, load: TableLoad, landed: Callable[[Sequence[Settled]], None]
    ) -> None:
        self._plan = plan
        self._write_pages = getattr(load, "write_pages", None)
        self._write_page = load.write
        self._landed = landed
        # For a run that depends on it and whose sink cannot count: an id a row, in memory.
        depends = plan.tolerance.strict or plan.sync is not None
        counts = depends and not hasattr(load, "count_duplicates")
        self._seen: set[str] | None = set() if counts else None
        self._most = 1 if self._write_pages is None else max(1, held_pages(plan) // 2)

    def land_all(self, arrived: deque[Page]) -> None:
        """Land the pages in ``arrived`` until there are none, also those that still come."""
        while pages := _taken(arrived, self._most):
            self._landed(self.land(pages))
            del pages  # or their rows would stay until the next ones are there

    def land(self, pages: Sequence[Page]) -> list[Settled]:
        """Transform and write. A transform that raises fails its page; a sink, the run."""
        settled = []
        batches = []
        for page in pages:
            try:
                batches.append((page, noted(page, self._plan.transformed(page.batch))))
            except MixpanelFetchError as error:
                failure = PageFailure(page.index, "transform", error, page.attempts)
                settled.append(Settled.of_page(page, failure=failure))
        return settled + (self.write(batches) if batches else [])

    def write(self, batches: Sequence[tuple[Page, Batch]]) -> list[Settled]:
        """Write each batch, which the page beside it was transformed to."""
        settled = []
        for (page, batch), landed in zip(batches, self._write(batches), strict=True):
            if not isinstance(landed, int):
                raise self._plan.sink.fault(f"write returned {landed!r}, not the rows landed")
            dropped = max(0, len(page.batch) - len(batch))
            figures = {"rows_landed": landed, "rows_dropped": dropped}
            settled.append(Settled.of_page(page, **figures, repeated=self._repeated(batch)))
        return settled

    def _repeated(self, batch: Batch) -> int:
        if self._seen is None:
            return 0
        before = len(self._seen)
        self._seen.update(batch.distinct_ids)
        return len(batch) - (len(self._seen) - before)

    def _write(self, batches: Sequence[tuple[Page, Batch]]) -> list[int]:
        sink = self._plan.sink
        pages = [(page.index, batch) for page, batch in batches]
        if self._write_pages is None:
            return [sink.call(self._write_page, index, batch) for index, batch in pages]
        rows = sink.call(self._write_pages, pages)
        if not isinstance(rows, list) or len(rows) != len(pages):
            raise sink.fault(f"write_pages returned {rows!r}, not the rows of each page")
        return rows


class Feed:
    """The pages of a run that are to be asked for. Use from the thread and hub of the run.

    Only so many pages (:func:`held_pages`) may be here at once; beyond that, the strategy waits.
    """

    def __init__(
        self, plan: Plan, thread: RunThread, source: EngagePages, pages: Sequence[int]
    ) -> None:
        self._plan = plan
        self._thread = thread
        self._source = source
        self._pages = pages
        self._due = frozenset(pages)
        self._places = gevent.lock.Semaphore(held_pages(plan))
        self._arrived: deque[Page] = deque()
        # Set when there is something in `arrived`, or nothing more to come.
        self._some = gevent.event.Event()
        self._end: Any = _MORE
        self._settled: gevent.queue.Queue[Any] = gevent.queue.Queue()
        self._mailbox = Mailbox(self._take)
        self._asking: gevent.Greenlet[..., None] | None = None
        self._landing: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to ask for the pages."""
        self._asking = gevent.spawn(self._ask)

    def land(self, load: TableLoad, first: Sequence[tuple[Page, Batch]] = ()) -> None:
        """Begin to land: what is here and transformed already, then the pages asked for."""
        lander = Lander(self._plan, load, self._mailbox.put)
        self._landing = gevent.spawn(self._land, lander, list(first))

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
        if self._asking is not None:
            self._asking.kill()
        self._arrived.clear()
        self._finish(_END)
        if self._landing is not None:
            self._landing.join()
        self._mailbox.close()
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

    def _take(self, outcomes: Sequence[Settled]) -> None:
        for outcome in outcomes:
            self._source.landed(outcome.index)
            if outcome.index in self._due:  # what was here before took no place
                self._places.release()
            self._settled.put(outcome)

    def _finish(self, end: Any) -> None:
        """Note that nothing more will arrive, and how it ended; the first end counts."""
        if self._end is _MORE:
            self._end = end
        self._some.set()

    # A greenlet's body never raises: gevent would print it. Errors travel as values.

    def _ask(self) -> None:
        try:
            with contextlib.closing(outcomes(self._plan, self._source, self._pages)) as items:
                while self._places.acquire() and (item := next(items, None)) is not None:
                    gevent.sleep(0)  # the next request goes out before this page is read
                    outcome = _read(item)
                    if isinstance(outcome, PageFailure):
                        self._take([Settled.of_failure(outcome)])
                        if isinstance(outcome.error, STOPPING):
                            break
                    else:
                        self._arrived.append(outcome)
                        self._some.set()
                    del item, outcome  # or they would stay until the next one comes
            self._finish(_END)
        except Exception as error:  # noqa: BLE001
            self._finish(error)

    def _land(self, lander: Lander, first: list[tuple[Page, Batch]]) -> None:
        try:
            if first:
                self._take(self._thread.call(lander.write, first))
                first.clear()
            while self._arrived or self._end is _MORE:
                self._some.wait()
                self._some.clear()
                self._thread.call(lander.land_all, self._arrived)
            end = self._end
        except BaseException as error:  # noqa: BLE001
            end = error
        self._mailbox.deliver()
        self._settled.put(end)


def held_pages(plan: Plan) -> int:
    """Return how many pages may wait for the sink or be landed by it: one more than are asked for.

    The sink takes half of them at most, so that the other half comes in meanwhile.
    """
    return plan.workers + 1


def _taken(arrived: deque[Page], most: int) -> list[Page]:
    """Return the first of ``arrived``, which the hub may add to or clear meanwhile."""
    pages: list[Page] = []
    with contextlib.suppress(IndexError):
        while len(pages) < most:
            pages.append(arrived.popleft())
    return pages


def _read(item: Page | PageFailure) -> Page | PageFailure:
    """Return ``item`` with its rows read, if it has any."""
    if isinstance(item, Page):
        try:
            item.batch  # noqa: B018
        except MixpanelFetchError as error:
            return PageFailure(item.index, "fetch", error, item.attempts)
    return item


def outcomes(
    plan: Plan, source: PageSource, pages: Sequence[int]
) -> Generator[Page | PageFailure, None, None]:
    """Yield the strategy's outcome of each of ``pages``, exactly once.

    Raises PluginError where the strategy raises, repeats an index, or leaves one out.
    """
    due = set(pages)
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
