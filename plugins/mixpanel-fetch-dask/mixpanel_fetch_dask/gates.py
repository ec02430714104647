"""The slots of the requests that a fetch makes itself: the first page, before workers take over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from mixpanel_fetch.protocols import Gate
from mixpanel_fetch_dask.cluster import Cluster, require_privacy
from mixpanel_fetch_dask.leases import LeaseGate, Slots
from mixpanel_fetch_dask.native import elsewhere


class OwnGate:
    """A :class:`~mixpanel_fetch.protocols.Gate`: a slot of ``local``, then one of the cluster.

    Connects for each slot, and waits cooperatively. ``private``: whether credentials will have to
    travel to the workers, which is looked at here, before any request is spent.
    """

    def __init__(self, cluster: Cluster, slots: Slots, local: Gate, *, private: bool) -> None:
        self._cluster = cluster
        self._slots = slots
        self._local = local
        self._private = private
        self._held: list[ExitStack] = []

    def acquire(self) -> None:
        """Wait for a slot and take it. Raises ConfigError, TransportError."""
        self._local.acquire()
        slot = ExitStack()
        try:
            slot.enter_context(elsewhere(self._lent))
        except BaseException:
            self._local.release()
            raise
        self._held.append(slot)

    def release(self) -> None:
        """Give a slot back, any one."""
        try:
            self._held.pop().close()
        finally:
            self._local.release()

    def narrow(self) -> None:
        """Let one request fewer of this process through for a while."""
        self._local.narrow()

    @contextmanager
    def _lent(self, over: Callable[[], bool]) -> Iterator[None]:
        with self._cluster.connected() as client:
            if self._private:
                require_privacy(client)
            with self._slots.registered(client) as semaphore:
                gate = LeaseGate(semaphore, self._slots, over)
                gate.acquire()
                try:
                    yield
                finally:
                    gate.release()
