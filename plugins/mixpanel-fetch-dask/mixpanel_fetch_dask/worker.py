"""What runs on the workers of the cluster: pages are fetched in the threads of its tasks.

A run's source is opened once in each process, and stays open between the tasks of the run: its
connections are used again. gevent's hub of it lives in the thread that opened it, and goes with it;
the tasks' own threads wait as threads do.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mixpanel_fetch.errors import FetchInterruptedError, MixpanelFetchError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import PageSource
from mixpanel_fetch_dask.assignment import Assignment
from mixpanel_fetch_dask.leases import LeaseGate

_IDLE = 60.0  # seconds without a task after which a run is taken for gone: its process may be dead
_GLANCE = 0.1  # seconds between two looks at whether the source is still needed

_lock = threading.Lock()
_open: dict[str, KeptSource] = {}
_ended: deque[str] = deque(maxlen=1000)


def fetch_page(assignment: Assignment, index: int) -> Page | PageFailure:
    """Return page ``index`` with its rows read, or its failure. Called as a task.

    Raises ConfigError where the worker lacks what the run needs.
    """
    with _source_of(assignment) as source:
        return _read(source.attempt(index))


def end_run(run: str) -> None:
    """Let go of what this process keeps for a run, which is over. Returns at once."""
    with _lock:
        _ended.append(run)
        kept = _open.get(run)
    if kept is not None:
        kept.over.set()


@contextmanager
def _source_of(assignment: Assignment) -> Iterator[PageSource]:
    with _lock:
        if assignment.run in _ended:
            raise FetchInterruptedError("the fetch has ended")
        kept = _open.get(assignment.run)
        if kept is None or not kept.is_alive():
            kept = _open[assignment.run] = KeptSource(assignment)
        kept.users += 1
    try:
        yield kept.source()
    finally:
        with _lock:
            kept.users -= 1
            kept.used = time.monotonic()


def _read(outcome: Page | PageFailure) -> Page | PageFailure:
    """Read the rows here: else they would be, when the page leaves, in the worker's event loop."""
    if isinstance(outcome, Page):
        try:
            outcome.batch  # noqa: B018
        except MixpanelFetchError as error:
            return PageFailure(outcome.index, "fetch", error, outcome.attempts)
    return outcome


class KeptSource(threading.Thread):
    """A source that is opened and closed in this thread, for tasks in other threads.

    Closed when ``over`` is set, or nobody has used it for a minute. ``users`` are the tasks that
    hold it now, ``used`` is when one last did.
    """

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(name="mixpanel-fetch-dask", daemon=True)
        from distributed import get_worker

        self.over = threading.Event()
        self.users = 0
        self.used = time.monotonic()
        self._assignment = assignment
        self._worker = get_worker()
        self._opened = threading.Event()
        self._source: PageSource | None = None
        self._error: Exception | None = None
        self.start()

    def source(self) -> PageSource:
        """Return the source once it is open. Raises what opening it raised."""
        self._opened.wait()
        if self._error is not None:
            raise self._error
        assert self._source is not None
        return self._source

    def run(self) -> None:
        """Open the source, keep it, close it."""
        with ExitStack() as stack:
            try:
                self._source = self._open(stack)
            except Exception as error:  # noqa: BLE001  (raised again in the tasks)
                self._error = error
            self._opened.set()
            while not self._may_end():
                time.sleep(_GLANCE)

    def _open(self, stack: ExitStack) -> PageSource:
        slots = self._assignment.slots
        semaphore = stack.enter_context(slots.semaphore(self._worker))
        source = self._assignment.fetcher().open(LeaseGate(semaphore, slots, self.over.is_set))
        if hasattr(source, "close"):
            stack.callback(source.close)
        return source

    def _may_end(self) -> bool:
        """Whether nobody uses the source and nobody will; if so, forget it."""
        with _lock:
            idle = time.monotonic() - self.used > _IDLE
            if self.users or not (self.over.is_set() or idle):
                return False
            if _open.get(self._assignment.run) is self:
                del _open[self._assignment.run]
            return True
