"""A call that may take a second and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

_SECONDS = 1.0
_late: list[threading.Thread] = []


def within_a_second(function: Callable[[], Iterable[str]]) -> list[str]:
    """Return what ``function`` does; nothing when it fails or takes longer."""
    found: list[str] = []

    def call() -> None:
        try:
            found.extend(function())
        except Exception:  # noqa: BLE001  (a sink's own, too: the prompt shows no errors)
            found.clear()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if thread.is_alive():
        _late.append(thread)
        return []
    return found


def somebody_waits() -> bool:
    """Whether a call was given up that has not come back."""
    return any(thread.is_alive() for thread in _late)
