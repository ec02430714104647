"""The strategy ``dask``: the workers of a cluster fetch the pages of one project."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import Gate, PageSource
from mixpanel_fetch_dask.assignment import Assignment
from mixpanel_fetch_dask.cluster import Cluster
from mixpanel_fetch_dask.gates import OwnGate
from mixpanel_fetch_dask.leases import Slots
from mixpanel_fetch_dask.native import elsewhere, wait_until
from mixpanel_fetch_dask.options import MIXPANEL_LIMIT
from mixpanel_fetch_dask.tasks import outcome_of, page_tasks

if TYPE_CHECKING:
    from mixpanel_fetch.client_settings import ClientSettings

log = logging.getLogger("mixpanel_fetch")


class DaskStrategy:
    """Have ``min(max_workers, limit)`` pages fetched at once by the workers of ``cluster``.

    ``max_workers`` None means as many as ``limit``. ``limit`` holds for all fetches of a project
    on the cluster together. ``credentials``, ``account``: see
    :class:`~mixpanel_fetch_dask.options.StrategyOptions`. So many pages are in memory, and one in
    the consumer's hands. Raises ConfigError for options that cannot be.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        limit: int = MIXPANEL_LIMIT,
        credentials: Literal["travel", "workers"] = "travel",
        account: str | None = None,
        **cluster: str | None,
    ) -> None:
        wanted = limit if max_workers is None else max_workers
        if wanted < 1 or limit < 1:
            raise ConfigError("workers and limit must be at least 1")
        if account is not None and credentials != "workers":
            raise ConfigError("an account of the workers goes with -o credentials=workers")
        self.size = min(wanted, limit)
        self.warnings: tuple[str, ...] = ()
        if wanted > max(limit, MIXPANEL_LIMIT):
            self.warnings = (
                f"{wanted} workers asked for, {limit} used:"
                f" Mixpanel answers {MIXPANEL_LIMIT} queries at once",
            )
            log.warning(self.warnings[0])
        self._cluster = Cluster(**cluster)
        self._limit = limit
        self._travel = credentials == "travel"
        self._account = account

    def gate(self, settings: ClientSettings, gate: Gate) -> Gate:
        """Return what the fetch's own requests take their slots from: the cluster's, too.

        Raises ConfigError within a task of Dask.
        """
        _refuse_within_a_task()
        slots = Slots.of(settings, self._limit)
        return OwnGate(self._cluster, slots, gate, private=self._travel)

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        """Yield each page's outcome once. Closing the iterator drops what is under way.

        The next page is asked for when an outcome is taken, before it is yielded. Raises
        ConfigError, TransportError where the cluster is not there or goes away.
        """
        if not pages:
            return
        assignment = Assignment.of(
            source.portable(), self._limit, travel=self._travel, account=self._account
        )
        with elsewhere(lambda _: page_tasks(self._cluster, assignment)) as tasks:
            waiting = iter(pages)
            under_way = {index: tasks.submit(index) for index in islice(waiting, self.size)}
            while under_way:
                wait_until(lambda: any(future.done() for future in under_way.values()))
                done = next(index for index, future in under_way.items() if future.done())
                outcome = outcome_of(done, under_way.pop(done))
                for index in islice(waiting, 1):
                    under_way[index] = tasks.submit(index)
                yield outcome
                del outcome


def _refuse_within_a_task() -> None:
    """Raise ConfigError in a task of Dask: it would wait for others that wait for its thread."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return
    raise ConfigError(
        "this fetch is a task of a Dask cluster already, and does not need the strategy dask;"
        " leave it out"
    )
