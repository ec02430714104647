"""The one native thread in which a run's transforms and sink calls happen.

A blocking database driver called in a greenlet would stall every request; and a sink need not be
thread-safe when one thread makes all its calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import gevent
import gevent.queue
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

T = TypeVar("T")


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    """What a call came to. An exception is a value here: gevent prints what a task raises."""

    value: T | None = None
    error: BaseException | None = None


def _captured(function: Callable[..., T], *args: object) -> _Outcome[T]:
    try:
        return _Outcome(value=function(*args))
    except BaseException as error:  # noqa: BLE001  (raised again where the result is taken)
        return _Outcome(error=error)


@contextmanager
def timed_wait() -> Iterator[None]:
    """Surround a gevent wait with a timeout, so that an interrupt ends it once and for all.

    gevent notices a signal in a timer's callback; when its handler raises, the wait ends and the
    timer is stopped, and yet its callback runs on and throws the timeout at whatever is waited
    for next. Here it finds a wait of its own.
    """
    try:
        yield
    except gevent.queue.Empty:
        raise
    except BaseException:
        with suppress(gevent.Timeout, gevent.queue.Empty):
            gevent.sleep(0)
        raise


class Pending(Generic[T]):
    """A call under way in the run's thread."""

    def __init__(self, outcome: AsyncResult[_Outcome[T]]) -> None:
        self._outcome = outcome

    def wait(self, timeout: float | None = None) -> bool:
        """Wait cooperatively at most ``timeout`` seconds; return whether the call has ended."""
        with timed_wait():
            self._outcome.wait(timeout)
        return self._outcome.ready()

    def result(self) -> T:
        """Wait for the call; return what it returned, or raise what it raised."""
        outcome = self._outcome.get()
        assert outcome is not None
        if outcome.error is not None:
            raise outcome.error
        return outcome.value  # type: ignore[return-value]


class Mailbox(Generic[T]):
    """Values on their way from the run's thread to the hub, where ``take`` is called with each.

    To be made and closed where the hub is. The two sides share no lock: in a host patched by
    gevent, one that both a hub and a thread wait for would never be free again.
    """

    def __init__(self, take: Callable[[T], None]) -> None:
        self._take = take
        self._values: deque[T] = deque()
        self._bell = gevent.get_hub().loop.async_()
        self._bell.start(self.deliver)

    def put(self, value: T) -> None:
        """Send ``value``; from any thread."""
        self._values.append(value)
        self._bell.send()

    def close(self) -> None:
        """Deliver what is there, and nothing after that."""
        self._bell.stop()
        self._bell.close()
        self.deliver()

    def deliver(self) -> None:
        """Hand on what is there now."""
        while self._values:
            self._take(self._values.popleft())


class RunThread:
    """Calls run one after the other, in the order they were submitted.

    To be used from the thread and hub that made it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def __enter__(self) -> RunThread:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.kill()

    def submit(self, function: Callable[..., T], *args: object) -> Pending[T]:
        """Start ``function(*args)``; wait cooperatively while another call is not yet done."""
        return Pending(self._pool.spawn(_captured, function, *args))

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Run ``function(*args)`` there and return what it returns."""
        return self.submit(function, *args).result()
