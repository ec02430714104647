"""Whole fetches against the simulator: what the kits and the fixture ``run_fetch`` share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.hookspecs import (
    BaseEngine,
    BaseLoad,
    ExecutorSpec,
    SinkSpec,
    StrategySpec,
    TransformSpec,
    hookimpl,
)
from mixpanel_fetch.model import Mode, RunInfo
from mixpanel_fetch.plugins import PluginHost, Provider, default_host
from mixpanel_fetch.protocols import StorageEngine

if TYPE_CHECKING:
    from mixpanel_fetch.client import MixpanelAPIClient
    from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
    from mixpanel_fetch.simulator import EngageSimulator, SimulatorProcess

Spec = SinkSpec | TransformSpec | StrategySpec | ExecutorSpec


class Specs:
    """A plugin that registers what it was made of."""

    def __init__(self, specs: Iterable[Spec]) -> None:
        self._specs = tuple(specs)

    @hookimpl
    def register_sinks(self) -> Sequence[SinkSpec]:
        """Return the sinks."""
        return [spec for spec in self._specs if isinstance(spec, SinkSpec)]

    @hookimpl
    def register_transforms(self) -> Sequence[TransformSpec]:
        """Return the transforms."""
        return [spec for spec in self._specs if isinstance(spec, TransformSpec)]

    @hookimpl
    def register_strategies(self) -> Sequence[StrategySpec]:
        """Return the strategies."""
        return [spec for spec in self._specs if isinstance(spec, StrategySpec)]

    @hookimpl
    def register_executors(self) -> Sequence[ExecutorSpec]:
        """Return the executors."""
        return [spec for spec in self._specs if isinstance(spec, ExecutorSpec)]


def host_of(spec: Spec | None) -> PluginHost:
    """Return a host of what is installed; with a ``spec``, of that and the two strategies alone.

    Alone, so that a plugin under work can be tested beside an installed version of itself.
    """
    if spec is None:
        return default_host()
    from mixpanel_fetch.defaults import gevent_pool, sequential

    host = PluginHost(installed=False)
    host.register(Specs([spec]), Provider(spec.name, "the tested plugin"))
    for module in (gevent_pool, sequential):
        if spec.name != module.__name__.rpartition(".")[2].replace("_", "-"):
            host.register(module, Provider(module.__name__, "mixpanel-fetch"))
    return host


def client_of(simulator: EngageSimulator | SimulatorProcess, **settings: Any) -> MixpanelAPIClient:
    """Return a client of a simulator. It does not retry, and shares its quota with nobody."""
    from mixpanel_fetch.client import MixpanelAPIClient

    config = simulator.config
    defaults = {
        "username": config.username,
        "secret": config.secret,
        "project_id": config.project_id,
        "base_url": simulator.base_url,
        "max_retries": 0,
        "shared_quota": False,
        "trust_environment": False,
    }
    return MixpanelAPIClient(**{**defaults, **settings})


def fetch(
    simulator: EngageSimulator | SimulatorProcess,
    destination: str | StorageEngine,
    host: PluginHost,
    table: str = "profiles",
    **options: Any,
) -> FetchResult | ParallelProfileFetchResult:
    """Run one fetch, as :meth:`~mixpanel_fetch.services.FetcherService.fetch_profiles` does."""
    from mixpanel_fetch.assembly import Assembler
    from mixpanel_fetch.services import FetcherService

    service = FetcherService(client_of(simulator), destination, assembler=Assembler(host))
    return service.fetch_profiles(table, **options)


class Collector(BaseEngine):
    """A sink that keeps the pages as they are given to it: what others are compared with."""

    capabilities = frozenset({"stream"})

    def __init__(self) -> None:
        self.pages: dict[int, Batch] = {}

    def begin(self, table: str, mode: Mode, run: RunInfo) -> _Collecting:  # noqa: ARG002
        """Begin to collect."""
        return _Collecting(self.pages)


class _Collecting(BaseLoad):
    def __init__(self, pages: dict[int, Batch]) -> None:
        self._pages = pages

    def write(self, page_index: int, batch: Batch) -> int:
        self._pages[page_index] = batch
        return len(batch)
