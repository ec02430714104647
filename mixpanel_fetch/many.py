"""Many jobs over any executor: one outcome each, and none that fails stops another."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event

from mixpanel_fetch.errors import ConfigError, FetchInterruptedError
from mixpanel_fetch.jobneeds import needs_of
from mixpanel_fetch.joboutcome import JobOutcome, failed, not_run
from mixpanel_fetch.jobqueue import DEFAULT_JOBS, JobQueue
from mixpanel_fetch.jobrun import run_job
from mixpanel_fetch.jobs import Job
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.stopping import StopSign

log = logging.getLogger("mixpanel_fetch")
_GLANCE = 0.1  # seconds between two looks at the cancel event


def fetch_many(
    jobs: Iterable[Job],
    executor: Executor | None = None,
    *,
    max_jobs: int | None = None,
    only_due: bool = False,
    cancel: Event | None = None,
    on_start: Callable[[Job], None] | None = None,
) -> Generator[JobOutcome, None, None]:
    """Run ``jobs`` and yield what became of each as it ends, one outcome a job.

    They run in ``executor``, which stays the caller's to shut down; without one, in threads.
    ``max_jobs`` are handed to it at once: by default 4 without an executor, else as many as may
    run. Two jobs of one project never run side by side, since Mixpanel's quotas are per project;
    nor do two into one destination, unless its sink claims ``concurrent``; others overtake them.

    ``only_due`` leaves out jobs that are ``not due``. ``on_start`` is called with each job that is
    handed over, in the thread that takes the outcomes. Setting ``cancel``, from any thread, or
    closing the iterator lets no other job begin and stops those that run, within a second where
    the executor can reach them (:class:`~mixpanel_fetch.hookspecs.ExecutorSpec`); what never
    began is ``not run``, with exit code 130.

    What goes wrong with a job, its worker's death included, is in its outcome, and not raised.
    Accounts are looked up where a job runs, so no secret travels, except what a program itself
    writes into ``Job.connection``. Raises ConfigError for a ``max_jobs`` below 1, and for two jobs
    of one name.
    """
    jobs = list(jobs)
    if max_jobs is not None and max_jobs < 1:
        raise ConfigError(f"max_jobs must be at least 1, not {max_jobs}")
    for name, times in Counter(job.name for job in jobs).items():
        if times > 1:
            raise ConfigError(f"{times} jobs are called {name!r}; outcomes are told apart by name")
    if executor is None and max_jobs is None:
        max_jobs = DEFAULT_JOBS
    queue = JobQueue([needs_of(job) for job in jobs], max_jobs)
    flight = _Flight(jobs, executor, max_jobs, only_due=only_due)
    return _outcomes(jobs, queue, flight, cancel or Event(), on_start)


def _outcomes(
    jobs: Sequence[Job],
    queue: JobQueue,
    flight: _Flight,
    cancel: Event,
    on_start: Callable[[Job], None] | None,
) -> Generator[JobOutcome, None, None]:
    ended: int | None = None
    with flight:
        while True:
            # Looked at first: the signal behind it may have ended a worker, too.
            if cancel.is_set():
                flight.stop()
                yield from (not_run(jobs[number]) for number in queue.give_up())
            if ended is not None:
                number, ended = ended, None
                queue.end(number)
                yield flight.outcome(number)
                continue
            while (begun := queue.begin()) is not None:
                if on_start is not None:
                    on_start(jobs[begun])
                flight.launch(begun)
            if not queue.running:
                return
            ended = flight.wait(_GLANCE)


class _Flight:
    """Jobs that are with the executor. A context manager: at its end they are asked to stop."""

    def __init__(
        self, jobs: Sequence[Job], executor: Executor | None, most: int | None, *, only_due: bool
    ) -> None:
        self._jobs = jobs
        self._own = None
        if executor is None:
            executor = self._own = ThreadPoolExecutor(most, thread_name_prefix="job")
        self._executor = executor
        self._only_due = only_due
        self._sign = StopSign()
        self._futures: dict[int, Future[JobOutcome]] = {}
        self._done: SimpleQueue[int] = SimpleQueue()
        self._stopping = False

    def __enter__(self) -> _Flight:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._futures:
            self.stop()
        if self._own is not None:
            self._own.shutdown()

    def launch(self, number: int) -> None:
        """Hand job ``number`` over."""
        future: Future[JobOutcome]
        try:
            future = self._executor.submit(
                _run, self._jobs[number], self._sign, only_due=self._only_due
            )
        except Exception as error:  # noqa: BLE001  (it may be broken, or shut down)
            future = Future()
            words = f"the executor did not take it: {one_line_of(error)}"
            future.set_result(not_run(self._jobs[number], words, exit_code=1))
        self._futures[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def wait(self, seconds: float) -> int | None:
        """Return the number of a job that has ended, None where none did in so long."""
        try:
            return self._done.get(timeout=seconds)
        except Empty:
            return None

    def outcome(self, number: int) -> JobOutcome:
        """Return what became of job ``number``, which has ended."""
        job, future = self._jobs[number], self._futures.pop(number)
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            return future.result()
        if isinstance(error, CancelledError):
            if self._stopping:
                return not_run(job)
            return not_run(job, "the executor gave it up", exit_code=1)
        if isinstance(error, BrokenExecutor) and self._stopping:
            error = FetchInterruptedError("its worker ended first")
        return failed(job, error)

    def stop(self) -> None:
        """Let nothing more begin, and ask what runs to stop. Once is enough."""
        if self._stopping:
            return
        self._stopping = True
        self._sign()
        for future in self._futures.values():
            future.cancel()
        stop_running = getattr(self._executor, "stop_running", None)
        if stop_running is None:
            return
        try:
            stop_running(self._sign)
        except Exception as error:  # noqa: BLE001  (the outcomes must be told)
            log.warning("the executor cannot stop what runs: %s", one_line_of(error))


def _run(job: Job, sign: StopSign, *, only_due: bool) -> JobOutcome:
    """Run ``job`` where this is called: in another thread, another process, another machine."""
    if sign.event.is_set():
        return not_run(job)
    return run_job(job, force=not only_due, cancel=sign.event)
