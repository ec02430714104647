"""From a thread that fetches to whoever reads: values handed over one by one, at the reader's pace.

Both sides wait natively, whatever a host has patched: a lock of gevent's would tie the two threads
together. A reader whose thread has a hub waits cooperatively instead, so that its host goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import gevent
from gevent import monkey
from gevent._hub_local import get_hub_if_exists  # asks without making one; gevent has no public way

from mixpanel_fetch.errors import FetchInterruptedError

T = TypeVar("T")

_POLL = 0.005  # seconds
_GLANCE = 0.5


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T
    takes_place: bool = False
    is_last: bool = False


class Handover(Generic[T]):
    """At most ``places`` values that were put and that the reader is not done with."""

    def __init__(self, places: int) -> None:
        native = monkey.get_original("queue", "SimpleQueue")
        self._values: queue.SimpleQueue[_Item[T]] = native()
        self._places: queue.SimpleQueue[None] = native()
        for _ in range(places):
            self._places.put(None)
        self._closed = False
        self._reading = False

    def put(self, value: T) -> None:
        """Hand ``value`` over; wait until there is a place for it.

        Raises FetchInterruptedError once the handover is closed.
        """
        self._places.get()
        if self._closed:
            self._places.put(None)
            raise FetchInterruptedError("nobody takes what was fetched")
        self._values.put(_Item(value, takes_place=True))

    def tell(self, value: T) -> None:
        """Hand ``value`` over at once. It takes no place, so it had better be small."""
        self._values.put(_Item(value))

    def end(self, value: T) -> None:
        """Hand the last ``value`` over: every :meth:`take` after it returns it again."""
        self._values.put(_Item(value, is_last=True))

    def take(self) -> T:
        """Wait for the next value. Whoever takes it is done with the one before."""
        if self._reading:
            self._reading = False
            self._places.put(None)
        item = self._next()
        self._reading = item.takes_place
        if item.is_last:
            self._values.put(item)  # another reader may wait as well
        return item.value

    def close(self) -> None:
        """Have nothing more put: a writer that waits, or comes, is turned away."""
        self._closed = True
        self._places.put(None)

    def _next(self) -> _Item[T]:
        while True:
            natively = get_hub_if_exists() is None
            with suppress(queue.Empty):
                # Not for ever: a signal that comes just before a wait would wait for its end.
                return self._values.get(natively, _GLANCE if natively else None)
            if not natively:
                gevent.sleep(_POLL)


def start_native_thread(function: Callable[[], None], name: str) -> None:
    """Run ``function``, which never raises, in a thread of its own that no exit waits for.

    In a host patched by gevent ``threading.Thread`` is a greenlet; there the thread has no name.
    """
    if monkey.is_module_patched("threading"):
        monkey.get_original("_thread", "start_new_thread")(function, ())
    else:
        threading.Thread(target=function, name=name, daemon=True).start()
