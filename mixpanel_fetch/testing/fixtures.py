"""What stands behind the pytest fixtures, which every test has without an import.

The fixtures themselves are in ``_mixpanel_fetch_pytest``, the pytest plugin: pytest loads it in
every run, before anything measures coverage, so it imports this module when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.hookspecs import ExecutorSpec, SinkSpec, StrategySpec, TransformSpec
from mixpanel_fetch.plugins import PluginHost, Provider
from mixpanel_fetch.protocols import StorageEngine
from mixpanel_fetch.testing.cases import Row
from mixpanel_fetch.testing.fetching import Specs, fetch

if TYPE_CHECKING:
    from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
    from mixpanel_fetch.simulator import EngageSimulator, SimulatorProcess


@contextmanager
def simulators() -> Iterator[Callable[..., EngageSimulator]]:
    """Yield what makes running simulators; they stop at the end."""
    from mixpanel_fetch.simulator import EngageSimulator

    with ExitStack() as stack:

        def make(**switches: Any) -> EngageSimulator:
            return stack.enter_context(EngageSimulator(**switches))

        yield make


def make_host(
    *plugins: object, files: Iterable[str | Path] = (), installed: bool = True
) -> PluginHost:
    """Return a host of what is ``installed``, of ``plugins`` and of single ``files``.

    A plugin is a module or an object with hooks, or a SinkSpec, TransformSpec, StrategySpec or
    ExecutorSpec.
    Raises PluginError for one that cannot be registered.
    """
    host = PluginHost(files, installed=installed)
    for plugin in plugins:
        if isinstance(plugin, (SinkSpec, TransformSpec, StrategySpec, ExecutorSpec)):
            host.register(Specs([plugin]), Provider(plugin.name, "this test"))
        else:
            name = getattr(plugin, "__name__", type(plugin).__name__)
            host.register(plugin, Provider(name, "this test"))
    return host


def make_batch(*rows: str | Row, **properties: Any) -> Batch:
    """Return a batch of ``rows``: each an id, or a row as ``Batch.rows`` yields it.

    ``properties`` are those of every row; a row's own come over them.
    """
    whole: list[Row] = [{"distinct_id": row} if isinstance(row, str) else row for row in rows]
    return Batch.from_rows(
        {**row, "properties": {**properties, **(row.get("properties") or {})}} for row in whole
    )


class Fetches:
    """Runs whole fetches, each against a simulator: see the fixture ``run_fetch``."""

    def __init__(self, make_simulator: Callable[..., EngageSimulator]) -> None:
        self._make_simulator = make_simulator

    def __call__(
        self,
        destination: str | StorageEngine,
        *,
        simulator: EngageSimulator | SimulatorProcess | None = None,
        profiles: Any = 100,
        plugins: Iterable[object] = (),
        table: str = "profiles",
        **options: Any,
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch into ``destination`` and return the result.

        ``simulator``: where from; by default a new one with ``profiles`` (a count, or a list).
        ``plugins`` as for ``plugin_host``. ``options``: those of
        :meth:`~mixpanel_fetch.services.FetcherService.fetch_profiles`, and raises what that does.
        """
        source = simulator or self._make_simulator(profiles=profiles)
        return fetch(source, destination, make_host(*plugins), table, **options)
