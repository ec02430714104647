"""One project's quota, shared between the processes of one user on one machine.

A slot is an operating system's lock on a file, held for the length of one request: the slots of a
process that dies come free by themselves. Nothing here fails a fetch: what cannot be shared is
left out, with one warning. No file is touched, and no lock library loaded, before the first
request.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from mixpanel_fetch.hour import HourlyBudget
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.shared_files import POLL, SharedFiles

log = logging.getLogger("mixpanel_fetch")
_PORTS = {"http": 80, "https": 443}


def share(
    gate: Gate, *, origin: str, project: str, slots: int, sleep: Callable[[float], None]
) -> tuple[Gate, HourlyBudget | None]:
    """Return ``gate`` with ``slots`` shared slots behind it, and the shared hour.

    ``project`` is the project's id, or what else stands for it. Loopback has no hour.
    """
    files, name = SharedFiles(), quota_name(origin, project)
    hour = None if is_loopback(origin) else HourlyBudget(files, name, sleep=sleep)
    return SharedGate(gate, SharedSlots(files, name, slots, sleep=sleep)), hour


def quota_name(origin: str, project: str) -> str:
    """Return a file's name for the quota of ``project`` at ``origin``, which tells neither."""
    parts = urlsplit(origin)
    port = parts.port or _PORTS.get(parts.scheme)
    key = f"{parts.scheme}://{parts.hostname}:{port}/{project}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def is_loopback(origin: str) -> bool:
    """Whether ``origin`` is this machine: 127.0.0.0/8, ::1, localhost."""
    host = urlsplit(origin).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class SharedSlots:
    """At most ``count`` requests in flight among all processes that share ``files``.

    Waiting polls, as in :class:`~mixpanel_fetch.quota.ConcurrencyGate`; after ``patience``
    seconds of it a warning says once what is waited for.
    """

    def __init__(
        self,
        files: SharedFiles,
        name: str,
        count: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = 30.0,
    ) -> None:
        slots = [f"{name}.slot{number}" for number in range(count)]
        self._files = files
        self._sleep = sleep
        self._patience = patience
        self._free = deque(random.sample(slots, count))  # what this process does not hold
        self._held: deque[tuple[str, int]] = deque()

    def acquire(self) -> None:
        """Take a slot; wait until there is one. Takes none where nothing is shared."""
        waited = 0.0
        while not self._take():
            wait = POLL * (1 + random.random())  # processes must not march in step
            self._sleep(wait)
            waited += wait
            self._warn(waited)

    def release(self) -> None:
        """Give a slot back, any one: they are all alike."""
        with suppress(IndexError):  # taken when nothing was shared
            slot, descriptor = self._held.popleft()
            with suppress(OSError):
                self._files.unlock(descriptor)
            self._free.append(slot)

    def _take(self) -> bool:
        """Whether there is nothing to wait for: a slot is taken, or nothing is shared."""
        try:
            return self._files.off or any(self._take_one() for _ in range(len(self._free)))
        except OSError as error:
            self._files.leave_out(error)
            return True

    def _take_one(self) -> bool:
        try:
            slot = self._free.popleft()  # atomic, unlike a look for one that is free
        except IndexError:  # another thread was quicker
            return False
        descriptor = None
        try:
            descriptor = self._files.try_lock(slot)
        finally:
            if descriptor is None:
                self._free.append(slot)
        if descriptor is None:
            return False
        self._held.append((slot, descriptor))
        return True

    def _warn(self, waited: float) -> None:
        if waited > self._patience:
            self._patience = float("inf")
            log.warning(
                "waiting for other processes, which have as many requests in flight as the project"
                " may have (--no-shared-quota does not wait)"
            )


class SharedGate:
    """A slot of ``local`` first, then a shared one."""

    def __init__(self, local: Gate, slots: SharedSlots) -> None:
        self._local = local
        self._slots = slots

    def acquire(self) -> None:
        """Wait for both slots and take them; keep none when the wait is ended."""
        self._local.acquire()
        try:
            self._slots.acquire()
        except BaseException:
            self._local.release()
            raise

    def release(self) -> None:
        """Give both slots back."""
        self._slots.release()
        self._local.release()

    def narrow(self) -> None:
        """Let one request fewer of this process through for a while."""
        self._local.narrow()
