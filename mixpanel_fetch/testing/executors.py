"""The conformance kit for executors."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mixpanel_fetch.errors import RateLimitError
from mixpanel_fetch.many import fetch_many
from mixpanel_fetch.testing.cases import ExecutorCase
from mixpanel_fetch.testing.executor_bench import ENDS, ExecutorBench, most_at_once
from mixpanel_fetch.testing.executor_calls import die, given, refuse, span, whereabouts
from mixpanel_fetch.testing.promises import in_thread, promised
from mixpanel_fetch.testing.strategy_bench import leftovers

WHOLE = {
    "text": 'é\0🙂 "',
    "bytes": bytes(range(256)) * 4096,
    "nested": [{"n": 2**70, "none": None}],
}


class ExecutorTests:
    """Whether an executor keeps what :class:`~mixpanel_fetch.hookspecs.ExecutorSpec` promises.

    Subclass it, name the class ``Test...``, and override the fixture ``case``. Its calls need
    mixpanel-fetch and pytest where they run, and leave files in a folder of this machine.
    """

    @pytest.fixture
    def case(self) -> ExecutorCase:
        """Override: return the ExecutorCase to be tested."""
        raise NotImplementedError("override the fixture case: return an ExecutorCase")

    @pytest.fixture
    def running(self, case: ExecutorCase, tmp_path: Path) -> Iterator[ExecutorBench]:
        """Hold what a test does with the executor; not to be overridden."""
        with ExecutorBench(case, tmp_path) as running:
            yield running

    def test_what_a_call_returns_comes_back(self, running: ExecutorBench) -> None:
        """Called with the arguments that were submitted, and returned whole."""
        with promised("what a call returns must come back"):
            future = running.executor().submit(given, 1, WHOLE, name="x")
            found = running.outcome(future)
        assert found == ((1, WHOLE), {"name": "x"}), (
            "a call must be given the arguments it was submitted with, and what it returns must"
            " come back as it is"
        )

    def test_what_a_call_raises_comes_back(self, running: ExecutorBench) -> None:
        """With its attributes, as the exception of that call alone."""
        executor = running.executor()
        try:
            running.call(executor, refuse, "no more today")
        except RateLimitError as error:
            told = (str(error), error.retry_after, error.limit)
            assert told == ("no more today", 7.5, "hourly"), (
                f"what a call raises must come back as it is, not as {told}"
            )
        except Exception as error:
            raise AssertionError(
                f"what a call raises must come back as it is, not as {error!r}"
            ) from error
        else:
            raise AssertionError("what a call raises must be raised where its result is taken")
        running.assert_works(executor, "after a call that raised")

    def test_each_call_comes_back_once(self, running: ExecutorBench) -> None:
        """Also where there are many more than workers; the host is told as each ends."""
        executor, told = running.executor(), Counter[int]()
        futures = [executor.submit(abs, -number) for number in range(60)]
        for future in futures:
            future.add_done_callback(lambda ended: told.update([id(ended)]))
        found = [running.outcome(future) for future in futures]
        assert found == [*range(60)], f"each call must end in its own result, not in {found}"
        running.wait_until(
            lambda: len(told) == len(futures), "a callback must be told as each call ends"
        )
        assert set(told.values()) == {1}, "a callback must be told once that a call has ended"

    @pytest.mark.parametrize(
        "call", [(given, threading.Lock()), (threading.Lock,)], ids=["argument", "result"]
    )
    def test_what_cannot_travel_fails_alone(
        self, running: ExecutorBench, call: tuple[Any, ...]
    ) -> None:
        """A program may put anything into a job."""
        executor = running.executor()
        try:
            future = executor.submit(*call)
        except Exception:  # noqa: BLE001  (the host takes any for an outcome)
            pass
        else:
            running.wait_until(future.done, "a call that cannot travel must end all the same")
        running.assert_works(executor, "after a call that cannot travel")

    @pytest.mark.parametrize("workers", [1, 2])
    def test_no_more_run_at_once_than_may(self, running: ExecutorBench, workers: int) -> None:
        """``max_workers`` is the most calls at once."""
        executor = running.executor(workers)
        futures = [executor.submit(span, 0.1) for _ in range(3 * workers + 3)]
        spans = [running.outcome(future) for future in futures]
        most = most_at_once(spans)
        assert most <= workers, f"{most} calls ran at once; max_workers was {workers}"

    def test_submit_does_not_wait(self, running: ExecutorBench) -> None:
        """Meanwhile the host takes outcomes, and looks whether to stop."""
        call = running.held()
        future = running.executor().submit(call)
        call.let_go()
        ended_well = running.outcome(future, "a call that is submitted must end")
        assert ended_well, "submit must come back while its call still runs"

    def test_what_waits_can_be_cancelled(self, running: ExecutorBench) -> None:
        """And never begins; what runs goes on."""
        executor, call, note = running.executor(1), running.held(), running.note()
        future, _ = running.begun(executor, call)
        waiting = executor.submit(note)
        assert waiting.cancel(), "a call that has not begun must let itself be cancelled"
        assert waiting.cancelled(), "a call that was cancelled must say so"
        call.let_go()
        ended_well = running.outcome(future, "a call must end though another one was cancelled")
        assert ended_well, "a call must go on though another one was cancelled"
        executor.shutdown()
        assert not note.callers(), "a call that was cancelled must not begin"

    def test_what_runs_cannot_be_cancelled(self, running: ExecutorBench) -> None:
        """Its outcome is told: it has begun to write."""
        call = running.held()
        future, _ = running.begun(running.executor(), call)
        assert not future.cancel(), "a call that runs must not let itself be cancelled"
        call.let_go()
        with promised("a call that runs must end in its result though somebody cancelled it"):
            assert running.outcome(future)

    def test_the_end_waits_for_what_runs(self, running: ExecutorBench) -> None:
        """Nothing runs on once the command has ended."""
        with running.executor(1) as executor:
            futures = [executor.submit(span, 0.4) for _ in range(2)]
        running_on = sum(not future.done() for future in futures)
        assert not running_on, f"shutdown must wait for its calls; {running_on} had not ended"
        for future in futures:
            with promised("a call that runs when shutdown is called must end in its result"):
                future.result()

    @pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
    def test_the_end_may_come_twice(self, running: ExecutorBench, used: bool) -> None:
        """The host enters the executor, and a program may have ended it already."""
        with promised("shutdown may be called twice, on an executor that was used or was not"):
            with running.executor() as executor:
                if used:
                    running.call(executor, abs, -1)
                executor.shutdown()
            executor.shutdown(wait=True)

    def test_nothing_is_taken_after_the_end(self, running: ExecutorBench) -> None:
        """Which is said at once: nobody would run it."""
        executor = running.executor()
        executor.shutdown()
        try:
            executor.submit(abs, -1)
        except Exception:  # noqa: BLE001  (the host takes any for an outcome)
            return
        raise AssertionError("submit must raise an error after shutdown")

    @pytest.mark.parametrize("failing", [False, True], ids=["well", "failing"])
    def test_the_end_leaves_nothing(self, running: ExecutorBench, failing: bool) -> None:
        """No thread and no process, also where the last call failed."""
        for _ in range(2):  # the first executor loads libraries
            before = leftovers()
            with running.executor() as executor:
                future: Future[Any] = executor.submit(refuse if failing else given, "x")
                running.wait_until(future.done, ENDS)
        left = leftovers(before)
        assert not left, f"shutdown must leave nothing; there are {sorted(left)}"

    def test_it_works_in_any_thread(self, running: ExecutorBench) -> None:
        """A program may take the outcomes in a thread that is not the main one."""

        def used() -> object:
            with running.executor() as executor:
                return running.call(executor, abs, -7)

        with promised("an executor must work in a thread that is not the main one"):
            assert in_thread(used) == 7

    def test_a_worker_that_dies_takes_its_own_call_along(self, running: ExecutorBench) -> None:
        """Skipped where calls run in this process, and where ``case.kill`` is False."""
        if not running.case.kill:
            pytest.skip("no worker of it may be killed")
        executor, call = running.executor(2), running.held()
        beside, place = running.begun(executor, call)
        _skip_unless_elsewhere(place)
        dying = executor.submit(die)
        running.wait_until(dying.done, "a call whose worker died must end")
        error = dying.exception()
        assert isinstance(error, BrokenExecutor), (
            f"a call whose worker died must end in a BrokenExecutor, not in {error!r}"
        )
        call.let_go()
        with promised("a worker that dies must not take another call along"):
            assert running.outcome(beside)
        running.assert_works(executor, "after a worker has died")

    def test_what_runs_can_be_reached(self, running: ExecutorBench) -> None:
        """Skipped where calls run in this process, and without ``stop_running``."""
        executor, call, note = running.executor(), running.held(), running.note()
        future, place = running.begun(executor, call)
        _skip_unless_elsewhere(place)
        _skip_unless_reached(executor)
        with promised("stop_running may be called while calls run, and more than once"):
            for _ in range(2):
                executor.stop_running(note)  # type: ignore[attr-defined]
        words = "stop_running must have its argument called in the process where a call runs"
        running.wait_until(lambda: place in note.callers(), words)
        call.let_go()
        with promised("a call that was asked to stop must still end in its result"):
            assert running.outcome(future)
        running.assert_works(executor, "after stop_running")

    def test_jobs_run_in_it(self, running: ExecutorBench) -> None:
        """As ``fetch_many`` runs them: one outcome a job, and none that fails stops another."""
        from mixpanel_fetch.simulator import EngageSimulator

        with (
            EngageSimulator(profiles=30, project_id=1001) as one,
            EngageSimulator(profiles=20, project_id=1002) as other,
        ):
            jobs = [
                running.job(one, "first", page_size=10),
                running.job(other, "second", page_size=10),
                running.job(one, "wrong", strategy="there-is-none"),
            ]
            with promised("jobs must run in it"), running.executor() as executor:
                outcomes = {one.job: one for one in fetch_many(jobs, executor, max_jobs=2)}
        found = {name: outcome.status for name, outcome in outcomes.items()}
        expected = {"first": "done", "second": "done", "wrong": "failed"}
        words = "; ".join(one.words for one in outcomes.values() if one.exit_code)
        assert found == expected, f"jobs must end as {expected}, not as {found}: {words}"
        rows = [len(running.landed(name).read_text().splitlines()) for name in ("first", "second")]
        assert rows == [30, 20], f"jobs of 30 and 20 profiles must land them, not {rows}"

    def test_jobs_that_run_can_be_stopped(self, running: ExecutorBench) -> None:
        """Skipped for other processes without ``stop_running``."""
        from mixpanel_fetch.simulator import EngageSimulator

        executor, cancel = running.executor(1), threading.Event()
        if running.call(executor, whereabouts) != whereabouts():
            _skip_unless_reached(executor)

        def watch(simulator: EngageSimulator) -> None:
            with suppress(AssertionError):  # what came of the jobs tells it
                running.wait_until(lambda: simulator.stats.received > 1, "a job must run")
            cancel.set()

        with EngageSimulator(profiles=50, page_latency={1: running.case.patience}) as slow:
            jobs = [running.job(slow, name, page_size=10) for name in ("first", "second")]
            watching = threading.Thread(target=watch, args=(slow,))
            watching.start()
            told = fetch_many(jobs, executor, max_jobs=1, cancel=cancel)
            outcomes = {one.job: one.status for one in told}
            watching.join()
        assert outcomes == {"first": "interrupted", "second": "not run"}, (
            "jobs that are told to stop must be interrupted where they run, and else not run;"
            f" they were {outcomes}"
        )


def _skip_unless_elsewhere(place: str) -> None:
    if place == whereabouts():
        pytest.skip("its calls run in this process")


def _skip_unless_reached(executor: Executor) -> None:
    if not hasattr(executor, "stop_running"):
        pytest.skip("it has no stop_running: what runs in other processes runs to its end")
