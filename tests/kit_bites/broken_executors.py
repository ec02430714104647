"""Executors that break one promise each."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, Future

from mixpanel_fetch.defaults.processes import Processes
from mixpanel_fetch.jobs import Job
from mixpanel_fetch.stopping import StopSign

from .biting import Bite, words_of
from .correct import Threads, executor_case

BITES: list[Bite] = []
KEPT: list = []
SOON = 1.5
"""Patience with what never ends, where all happens in this process."""


def bites(kills, says, **case):
    """Register the decorated executor."""

    def register(kind):
        BITES.append(Bite(words_of(kind), lambda: executor_case(kind, **case), kills, says))
        return kind

    return register


class Never(Future):
    """A call that nobody runs."""


# Results


@bites("test_what_a_call_returns_comes_back", "what it returns must come back as it is")
class ResultsAreCutShort(Threads):
    def call(self, fn, /, *args, **kwargs):
        return super().call(fn, *args, **kwargs)[:1]


@bites("test_what_a_call_returns_comes_back", "must come back; it raised TypeError")
class TakesNoKeywords(Threads):
    def submit(self, fn, /, *args):
        return super().submit(fn, *args)


@bites("test_what_a_call_raises_comes_back", "must come back as it is, not as RuntimeError")
class ErrorsBecomeWords(Threads):
    def call(self, fn, /, *args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            raise RuntimeError(str(error)) from None


@bites("test_what_a_call_raises_comes_back", r"not as \('no more today', None, 'unknown'\)")
class ErrorsLoseTheirAttributes(Threads):
    def call(self, fn, /, *args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            raise type(error)(*error.args) from None


@bites("test_what_a_call_raises_comes_back", "must be raised where its result is taken")
class ErrorsAreReturned(Threads):
    def call(self, fn, /, *args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            return error


@bites("test_each_call_comes_back_once", "each call must end in its own result")
class ResultsAreMixedUp(Threads):
    def call(self, fn, /, *args, **kwargs):
        return super().call(fn, *args, **kwargs) % 10


@bites("test_each_call_comes_back_once", "a call that is submitted must end", patience=SOON)
class TheLastCallsAreForgotten(Threads):
    taken = 0

    def submit(self, fn, /, *args, **kwargs):
        self.taken += 1
        return Never() if self.taken > 40 else super().submit(fn, *args, **kwargs)


@bites("test_each_call_comes_back_once", "must be told as each call ends", patience=SOON)
class NobodyIsTold(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback = lambda callback: None
        return future


@bites("test_what_cannot_travel_fails_alone", "must end all the same", patience=SOON)
class WaitsForWhatCannotTravel(Threads):
    def submit(self, fn, /, *args, **kwargs):
        try:
            pickle.dumps((fn, args, kwargs))
            pickle.dumps(fn(*args, **kwargs))
        except TypeError:
            return Never()
        return super().submit(fn, *args, **kwargs)


# How many, and when


@bites("test_no_more_run_at_once_than_may", "calls ran at once; max_workers was")
class FiveRunAtOnce(Threads):
    def __init__(self, max_workers):
        super().__init__(5)


@bites("test_submit_does_not_wait", "must come back while its call still runs", patience=SOON)
class RunsWhereItIsSubmitted(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.exception()
        return future


# Cancelling


@bites("test_what_waits_can_be_cancelled", "must let itself be cancelled")
class NothingIsCancelled(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.cancel = lambda: False
        return future


@bites("test_what_waits_can_be_cancelled", "must not begin")
class TheCancelledBegin(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        cancel = future.cancel

        def cancel_and_run():
            if cancelled := cancel():
                fn(*args, **kwargs)
            return cancelled

        future.cancel = cancel_and_run
        return future


@bites("test_what_waits_can_be_cancelled", "must say so")
class TheCancelledDoNotSaySo(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.cancelled = lambda: False
        return future


@bites("test_what_runs_cannot_be_cancelled", "must not let itself be cancelled")
class WhatRunsIsGivenUp(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future, shown = super().submit(fn, *args, **kwargs), Future()
        future.add_done_callback(lambda ended: shown.cancelled() or copy_of(ended, shown))
        return shown


def copy_of(ended, shown):
    shown.set_running_or_notify_cancel()
    if ended.exception() is not None:
        shown.set_exception(ended.exception())
    else:
        shown.set_result(ended.result())


@bites("test_what_runs_cannot_be_cancelled", "must end in its result though somebody cancelled it")
class WhatRunsIsDroppedOnCancel(Threads):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.cancel = lambda: setattr(future, "result", self.dropped)
        return future

    def dropped(self, timeout=None):
        raise CancelledError


# The end


@bites("test_the_end_waits_for_what_runs", "had not ended")
class TheEndDoesNotWait(Threads):
    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait=False, cancel_futures=cancel_futures)


@bites("test_the_end_waits_for_what_runs", "must end in its result; it raised CancelledError")
class TheEndDropsWhatWaits(Threads):
    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait, cancel_futures=True)


@bites("test_the_end_may_come_twice", "may be called twice, .* it raised RuntimeError")
class EndsOnce(Threads):
    ended = False

    def shutdown(self, wait=True, *, cancel_futures=False):
        if self.ended:
            raise RuntimeError("ended already")
        self.ended = True
        super().shutdown(wait, cancel_futures=cancel_futures)


@bites("test_nothing_is_taken_after_the_end", "must raise an error after shutdown")
class TakesCallsAfterTheEnd(Threads):
    ended = False

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.ended = True
        super().shutdown(wait, cancel_futures=cancel_futures)

    def submit(self, fn, /, *args, **kwargs):
        return Never() if self.ended else super().submit(fn, *args, **kwargs)


@bites("test_the_end_leaves_nothing", "must leave nothing; there are .*thread")
class AThreadOutlivesTheEnd(Threads):
    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait, cancel_futures=cancel_futures)
        thread = threading.Thread(target=time.sleep, args=(6,), daemon=True)
        thread.start()
        KEPT.append(thread)


@bites("test_it_works_in_any_thread", "must work in a thread that is not the main one")
class NeedsTheMainThread(Threads):
    def submit(self, fn, /, *args, **kwargs):
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread")
        return super().submit(fn, *args, **kwargs)


# Other processes


DIES = "test_a_worker_that_dies_takes_its_own_call_along"


@bites(DIES, "must not take another call along; it raised BrokenExecutor")
class AllDieTogether(Processes):
    died = False

    def _call(self, fn, args, kwargs):
        try:
            value = super()._call(fn, args, kwargs)
        except BrokenExecutor:
            self.died = True
            raise
        if self.died:
            raise BrokenExecutor("another one died")
        return value


@bites(DIES, "must end in a BrokenExecutor, not in OSError")
class DeathIsCalledSomethingElse(Processes):
    def _call(self, fn, args, kwargs):
        try:
            return super()._call(fn, args, kwargs)
        except Exception:
            raise OSError("a pipe was closed") from None


REACHED = "test_what_runs_can_be_reached"


@bites(REACHED, "called in the process where a call runs", patience=10.0)
class AsksThisProcessAlone(Processes):
    def stop_running(self, ask):
        ask()


@bites(REACHED, "and more than once; it raised RuntimeError")
class AsksOnce(Processes):
    asked = False

    def stop_running(self, ask):
        if self.asked:
            raise RuntimeError("asked already")
        self.asked = True
        super().stop_running(ask)


@bites(REACHED, "must still end in its result")
class EndsTheCallsThatItReaches(Processes):
    reached = False

    def stop_running(self, ask):
        super().stop_running(ask)
        self.reached = True

    def _call(self, fn, args, kwargs):
        value = super()._call(fn, args, kwargs)
        if self.reached:
            raise BrokenExecutor("ended as it was reached")
        return value


# Whole jobs


@bites("test_jobs_run_in_it", "jobs must end as .*gave it up")
class JobsAreDropped(Threads):
    def call(self, fn, /, *args, **kwargs):
        if any(isinstance(one, Job) for one in args):
            raise CancelledError
        return super().call(fn, *args, **kwargs)


@bites("test_jobs_that_run_can_be_stopped", "must be interrupted where they run", patience=4.0)
class TheSignToStopIsLeftBehind(Threads):
    """As where it travels, and nobody brings the news."""

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(fn, *(StopSign() if _is_sign(one) else one for one in args), **kwargs)


def _is_sign(value):
    return isinstance(value, StopSign)
