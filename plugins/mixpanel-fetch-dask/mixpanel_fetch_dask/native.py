"""Blocking work in native threads of its own, waited for without blocking anybody's hub."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar

import gevent

T = TypeVar("T")
POLL = 0.005
"""Seconds between two looks. Waiting polls: a hub must not wait for a lock of another thread."""
_PATIENCE = 3.0  # seconds that leaving may take; what takes longer goes on by itself


@contextmanager
def elsewhere(
    make: Callable[[Callable[[], bool]], AbstractContextManager[T]],
) -> Iterator[T]:
    """Enter a context in a native thread of its own, and leave it there at the end.

    Both are waited for cooperatively. ``make`` is given a function that says whether the context
    is not wanted any more: entering it may take long. Raises what entering raises.
    """
    holder = _Holder(make)
    holder.start()
    try:
        wait_until(holder.entered.is_set)
        yield holder.taken()
    finally:
        entered = holder.entered.is_set()
        holder.over.set()
        if entered:
            wait_until(lambda: not holder.is_alive(), _PATIENCE)


def wait_until(met: Callable[[], bool], seconds: float | None = None) -> None:
    """Wait cooperatively until a condition is met, ``seconds`` at most."""
    waited = 0.0
    while not met() and (seconds is None or waited < seconds):
        gevent.sleep(POLL)
        waited += POLL


class _Holder(threading.Thread, Generic[T]):
    def __init__(self, make: Callable[[Callable[[], bool]], AbstractContextManager[T]]) -> None:
        super().__init__(name="mixpanel-fetch-dask", daemon=True)
        self.entered = threading.Event()
        self.over = threading.Event()
        self._make = make
        self._values: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._make(self.over.is_set) as value:
                self._values.append(value)
                self.entered.set()
                del value
                self.over.wait()
        except BaseException as error:  # noqa: BLE001  (raised again where it is taken)
            self._error = error
        self.entered.set()

    def taken(self) -> T:
        if not self._values:
            assert self._error is not None
            raise self._error
        return self._values.pop()
