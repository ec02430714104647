"""The pages of one run as tasks of a Dask cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mixpanel_fetch.errors import TransportError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch_dask.assignment import Assignment
from mixpanel_fetch_dask.cluster import Cluster, require_privacy
from mixpanel_fetch_dask.worker import end_run, fetch_page

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("mixpanel_fetch")
Outcome = Page | PageFailure
_ENDING = 1.0  # seconds to tell the workers that a run is over; one that stands still learns later


class PageTasks:
    """Submits pages to the workers, and says what became of them. Blocks nowhere."""

    def __init__(self, client: Client, assignment: Assignment) -> None:
        self._tasks = client.get_executor(pure=False)
        self._assignment = assignment

    def submit(self, index: int) -> Future[Outcome]:
        """Have a worker fetch page ``index``."""
        key = f"mixpanel-fetch-page-{self._assignment.run}-{index}"
        future: Future[Outcome] = self._tasks.submit(fetch_page, self._assignment, index, key=key)
        return future

    def drop(self) -> None:
        """Have those that are not done not be done."""
        self._tasks.shutdown(wait=False)


@contextmanager
def page_tasks(cluster: Cluster, assignment: Assignment) -> Iterator[PageTasks]:
    """Connect to the cluster, yield the tasks of a run, and leave nothing of it there.

    Blocks its thread. Raises ConfigError, TransportError.
    """
    with cluster.connected() as client:
        if assignment.own is None:
            require_privacy(client)
        if not client.scheduler_info()["workers"]:
            log.warning("the Dask cluster has no worker yet; its pages wait for one")
        tasks = PageTasks(client, assignment)
        with assignment.slots.registered(client):
            try:
                yield tasks
            finally:
                with suppress(Exception):  # the scheduler is gone: there is nobody to tell
                    tasks.drop()
                    client.sync(_tell, client, assignment.run)


async def _tell(client: Client, run: str) -> None:
    await asyncio.wait_for(client.run(end_run, run, on_error="ignore"), _ENDING)


def outcome_of(index: int, future: Future[Outcome]) -> Outcome:
    """Return what a task that is done came to.

    A page whose workers died, one after the other, is a failure like others. Raises
    TransportError where the scheduler is gone, and what a task raised.
    """
    from distributed import KilledWorker

    if future.cancelled():
        raise TransportError("the Dask scheduler went away, and the pages under way with it")
    try:
        return future.result()
    except KilledWorker as error:
        words = f"each Dask worker that fetched it died, {error.allowed_failures + 1} in a row"
        return PageFailure(index, "fetch", TransportError(words))
