"""The executor ``dask``: jobs of ``fetch_many`` on the workers of a cluster."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mixpanel_fetch.errors import TransportError
from mixpanel_fetch_dask.cluster import Cluster, is_private

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("mixpanel_fetch")
_STOPPING = 5.0  # seconds to tell every worker


class DaskExecutor(Executor):
    """Runs at most ``max_workers`` calls at once on the workers of ``cluster``.

    A call whose worker dies is begun again on another by Dask, a few times, and then fails.
    Raises ConfigError, TransportError where the cluster cannot be reached.
    """

    def __init__(self, cluster: Cluster, max_workers: int) -> None:
        self._client = cluster.connect()
        if not is_private(self._client):
            log.warning(
                "the way to the Dask workers is not encrypted: passwords in the jobs' destinations"
                " and options can be read on it"
            )
        self._tasks = self._client.get_executor(pure=False)
        self._most = max_workers
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Future[Any], _Call]] = deque()
        self._running: set[Future[Any]] = set()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call ``fn``; the call waits here while as many run as may.

        Raises what pickle raises where the call cannot travel.
        """
        future: Future[Any] = Future()
        call = _Call(partial(fn, *args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append((future, call))
        self._advance()
        return future

    def stop_running(self, ask: Callable[[], object]) -> None:
        """Call ``ask`` once in the process of each worker; wait for some seconds at most."""
        with suppress(Exception):  # a worker that does not answer, a scheduler that is gone
            self._client.sync(_ask_all, self._client, ask)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the connection, when all calls have ended; with ``wait=False`` they are dropped."""
        with self._lock:
            self._closed = True
            waiting = [future for future, _ in self._waiting]
        if cancel_futures or not wait:
            for future in waiting:
                future.cancel()
        if wait:
            _wait_for_all(self._futures)
        else:
            self._tasks.shutdown(wait=False)
        self._client.close()

    def _futures(self) -> set[Future[Any]]:
        with self._lock:
            return {*self._running, *(future for future, _ in self._waiting)}

    def _advance(self) -> None:
        """Begin with as many calls as may run."""
        with self._lock:
            while self._waiting and len(self._running) < self._most:
                future, call = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                self._running.add(future)
                task = self._tasks.submit(call, key=f"mixpanel-fetch-job-{uuid4().hex}")
                task.add_done_callback(partial(self._settle, future))

    def _settle(self, future: Future[Any], task: Future[Any]) -> None:
        error = _error_of(task)
        if error is not None:
            future.set_exception(error)
        else:
            try:
                future.set_result(pickle.loads(task.result()))
            except Exception as unreadable:  # noqa: BLE001  (of classes that are not there, say)
                future.set_exception(unreadable)
        with self._lock:
            self._running.discard(future)
        self._advance()


class _Call:
    """A call as it travels. Dask writes what it is given into its logs: nothing of it shows.

    It is pickled here, and what it returns there: what cannot travel is an error then, while Dask
    would wait for it for ever.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        import cloudpickle

        self._pickled: bytes = cloudpickle.dumps(call)

    def __call__(self) -> bytes:
        import cloudpickle

        pickled: bytes = cloudpickle.dumps(pickle.loads(self._pickled)())
        return pickled

    def __repr__(self) -> str:
        return "a job of mixpanel-fetch"


def _error_of(task: Future[Any]) -> BaseException | None:
    from distributed import KilledWorker

    if task.cancelled():
        return TransportError("the Dask scheduler went away, and the job with it")
    error = task.exception()
    if isinstance(error, KilledWorker):
        return TransportError(
            f"each Dask worker that ran the job died, {error.allowed_failures + 1} in a row"
        )
    return error


def _wait_for_all(futures: Callable[[], set[Future[Any]]]) -> None:
    while under_way := futures():
        wait(under_way)


async def _ask_all(client: Client, ask: Callable[[], object]) -> None:
    await asyncio.wait_for(client.run(ask, on_error="ignore"), _STOPPING)
