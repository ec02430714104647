"""Five requests of a project in flight on a whole cluster: slots that the scheduler lends.

``distributed.Semaphore`` lends a slot for a time, and its holder's process says every fifth of that
time that it is still there. Where it does not (killed, stopped, cut off), the scheduler lends the
slot to the next, although the request that it stood for may be in flight. So the time must be
longer than a request can take, counted from a fifth of it: then the request has ended, or been
given up, whatever became of its process.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.errors import ConfigError, FetchInterruptedError, TransportError
from mixpanel_fetch.quota import ConcurrencyGate

if TYPE_CHECKING:
    from distributed import Client, Semaphore

    from mixpanel_fetch.client_settings import ClientSettings

_TIMEOUT = "distributed.scheduler.locks.lease-timeout"
_REGISTER = "mixpanel-fetch-slots"
_REFRESHED = 0.2  # of its time: how often a lease is renewed (distributed.Semaphore)
_WAIT = 1.0  # seconds to ask for a lease before looking whether it is still wanted
_configuring = threading.Lock()


@dataclass(frozen=True)
class Slots:
    """The slots of one project on a cluster. ``lease``: seconds that one is lent for.

    ``name`` tells neither the project nor a secret.
    """

    name: str
    limit: int
    lease: float

    @classmethod
    def of(cls, settings: ClientSettings, limit: int) -> Slots:
        """Return the slots of the project that ``settings`` ask for."""
        longest = settings.connect_timeout + settings.read_timeout
        lease = max(_configured_lease(), longest / (1 - _REFRESHED))
        return cls(f"mixpanel-fetch-{project_digest(settings)}", limit, lease)

    @contextmanager
    def registered(self, client: Client) -> Iterator[Semaphore]:
        """Yield the semaphore, made known to the scheduler.

        Raises ConfigError where the scheduler knows it with another limit, or a shorter lease;
        TransportError where it does not answer.
        """
        known = client.get_metadata([_REGISTER, self.name], default=None)
        limit, lease = known or (self.limit, self.lease)
        if limit != self.limit:
            raise ConfigError(
                f"the cluster lets {limit} requests of this project through, not {self.limit};"
                f" give -o limit={limit}, or restart the scheduler"
            )
        if lease < self.lease:
            raise ConfigError(
                f"the cluster lends the slots of this project for {lease:.0f} s, and a request may"
                f" take longer; ask with shorter time-outs, or restart the scheduler"
            )
        with self.semaphore(client) as semaphore:
            if known is None:
                client.set_metadata([_REGISTER, self.name], [self.limit, self.lease])
            yield semaphore

    @contextmanager
    def semaphore(self, node: Any) -> Iterator[Semaphore]:
        """Yield the semaphore as seen from ``node``, a client or a worker; renew its leases.

        It is never closed: others use it. Raises as :meth:`registered`.
        """
        import dask
        from distributed import Semaphore

        # Each process renews at the pace that its own configuration says: it must be this one.
        with _configuring, dask.config.set({_TIMEOUT: f"{self.lease}s"}):
            semaphore = Semaphore(
                self.limit, name=self.name, scheduler_rpc=node.scheduler, loop=node.loop
            )
            try:
                semaphore.register()
            except ValueError:  # made meanwhile by somebody else
                raise ConfigError("the cluster lends the slots of this project otherwise") from None
            except (OSError, RuntimeError) as error:
                raise _no_slot(error) from None
        try:
            yield semaphore
        finally:
            # The loop would hold it, and go on renewing, for as long as its process lives.
            node.loop.add_callback(semaphore.refresh_callback.stop)


class LeaseGate:
    """A :class:`~mixpanel_fetch.protocols.Gate` whose slots are lent by the scheduler.

    Use from threads, each with one request at a time. ``over`` says whether the fetch has ended:
    then no slot is lent any more.
    """

    def __init__(
        self,
        semaphore: Semaphore,
        slots: Slots,
        over: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._semaphore = semaphore
        self._fresh = slots.lease * _REFRESHED
        self._over = over
        self._clock = clock
        self._local = ConcurrencyGate(slots.limit)
        self._mine = threading.local()

    def acquire(self) -> None:
        """Wait for a slot and take it.

        Raises FetchInterruptedError once the fetch has ended, TransportError where the scheduler
        does not answer.
        """
        self._local.acquire()
        try:
            self._borrow()
        except BaseException:
            self._local.release()
            raise

    def confirm(self) -> None:
        """Borrow anew where much of the lease's time has passed: the process may have stood still.

        Raises as :meth:`acquire`.
        """
        if self._clock() - self._mine.asked > self._fresh:
            self._semaphore.release()
            self._mine.asked = None
            self._borrow()

    def release(self) -> None:
        """Give the slot back."""
        if self._mine.asked is not None:
            self._semaphore.release()
        self._local.release()

    def narrow(self) -> None:
        """Let one request fewer of this process through for a while."""
        self._local.narrow()

    def _borrow(self) -> None:
        while not self._over():
            asked = self._clock()
            if not self._ask():
                continue
            # What was lent long before it came here may be lent to somebody else already.
            if self._clock() - asked <= self._fresh:
                self._mine.asked = asked
                return
            self._semaphore.release()
        raise FetchInterruptedError("the fetch has ended")

    def _ask(self) -> bool:
        try:
            return bool(self._semaphore.acquire(timeout=min(_WAIT, self._fresh / 2)))
        except (OSError, RuntimeError) as error:
            raise _no_slot(error) from None


def project_digest(settings: ClientSettings) -> str:
    """Return what stands for the project that ``settings`` ask for, and tells nothing of it."""
    return hashlib.sha256(f"{settings.origin} {settings.project}".encode()).hexdigest()[:32]


def _no_slot(error: Exception) -> TransportError:
    words = str(error) or type(error).__name__
    return TransportError(f"the Dask scheduler lends no slot: {words}")


def _configured_lease() -> float:
    """The seconds of distributed's own setting; none where it says never."""
    import dask
    from dask.utils import parse_timedelta

    configured = dask.config.get(_TIMEOUT, "30s")
    return 0.0 if configured == "inf" else float(parse_timedelta(configured, default="s"))
