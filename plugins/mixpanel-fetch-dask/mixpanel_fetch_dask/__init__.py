"""The executor and the strategy ``dask``: fetches on the workers of a Dask cluster.

This module is the plugin. Naming it imports neither distributed nor marshmallow: what it registers
loads when it is asked for.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

from mixpanel_fetch.hookspecs import ExecutorSpec, StrategySpec, hookimpl
from mixpanel_fetch.protocols import FetchStrategy


def open_executor(max_workers: int, **options: Any) -> Executor:
    """Return an executor on the cluster, connected; ``shutdown`` closes the connection.

    ``options``: those of :class:`~mixpanel_fetch_dask.options.ClusterOptions`. Raises ConfigError,
    TransportError where the cluster cannot be reached.
    """
    from mixpanel_fetch_dask.cluster import Cluster
    from mixpanel_fetch_dask.executor import DaskExecutor

    return DaskExecutor(Cluster(**options), max_workers)


def open_strategy(max_workers: int | None = None, **options: Any) -> FetchStrategy:
    """Return the strategy; nothing is connected yet.

    ``options``: those of :class:`~mixpanel_fetch_dask.options.StrategyOptions`. Raises ConfigError.
    """
    from mixpanel_fetch_dask.strategy import DaskStrategy

    return DaskStrategy(max_workers, **options)


@hookimpl
def register_executors() -> list[ExecutorSpec]:
    """Register ``dask``: jobs run on the workers of a cluster."""
    from mixpanel_fetch_dask.options import ClusterOptions

    summary = "jobs on the workers of a Dask cluster: -o scheduler=tcp://HOST:8786"
    return [ExecutorSpec("dask", open_executor, ClusterOptions, summary)]


@hookimpl
def register_strategies() -> list[StrategySpec]:
    """Register ``dask``: the workers of a cluster fetch the pages of one project."""
    from mixpanel_fetch_dask.options import StrategyOptions

    summary = "pages by the workers of a Dask cluster, five at once on all of it together"
    return [StrategySpec("dask", open_strategy, StrategyOptions, summary)]
