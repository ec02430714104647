"""How jobs are asked to stop, in whichever process they run."""

from __future__ import annotations

from collections import deque
from threading import Event, Lock
from uuid import uuid4
from weakref import WeakValueDictionary


class StopSign:
    """Asks the jobs that hold it to stop: call it, in their process. It can be pickled.

    All copies in one process are one and the same sign, and a copy that is made after the call
    says so wherever it arrives.
    """

    def __init__(self, key: str | None = None) -> None:
        self.event = Event()
        self._key = key or uuid4().hex
        if key is None:
            _signs[self._key] = self

    def __call__(self) -> None:
        """Ask the jobs of this process to stop."""
        self.event.set()
        _called.append(self)

    def __reduce__(self) -> tuple[object, ...]:
        return (_arrived, (self._key, self.event.is_set()))


_signs: WeakValueDictionary[str, StopSign] = WeakValueDictionary()
_called: deque[StopSign] = deque(maxlen=100)
"""Kept for a while: a job may arrive after the call that was meant for it."""
_lock = Lock()


def _arrived(key: str, called: bool) -> StopSign:
    with _lock:
        sign = _signs.get(key)
        if sign is None:
            sign = _signs[key] = StopSign(key)
    if called:
        sign()
    return sign
