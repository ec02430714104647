"""From the names a user gives to a Plan: plugins found, options shared out, factories called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Event
from typing import Any

from mixpanel_fetch.config import (
    DEFAULT_WORKERS,
    PARALLEL_STRATEGY,
    SEQUENTIAL_STRATEGY,
    Destination,
    Settings,
    options_for,
)
from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.events import Listener
from mixpanel_fetch.model import MODES, Mode, ProfileBatchProgress, ProfileQuery
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.plan import NamedTransform, Plan, Sink
from mixpanel_fetch.plugins import PluginHost, Registered, default_host
from mixpanel_fetch.protocols import StorageEngine, Transform
from mixpanel_fetch.secret import redact_uri
from mixpanel_fetch.sync import SyncWish
from mixpanel_fetch.tolerance import Tolerance


@dataclass(frozen=True)
class FetchRequest:
    """Everything a user may say of one fetch. Checked when it is made; raises ConfigError."""

    table: str
    query: ProfileQuery = field(default_factory=ProfileQuery)
    mode: Mode = "create"
    parallel: bool = False
    max_workers: int | None = None
    strategy: str | None = None
    transforms: Sequence[str | Transform] = ()
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    paging: Paging = field(default_factory=Paging)
    batch_size: int = 1000
    tolerance: Tolerance = field(default_factory=Tolerance)
    resume: bool = False
    sync: SyncWish | None = None
    on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None
    on_event: Listener | None = None
    cancel: Event | None = None

    def __post_init__(self) -> None:
        if not self.table or not self.table.strip():
            raise ConfigError("the table needs a name")
        if self.mode not in MODES:
            raise ConfigError(f"unknown mode {self.mode!r}; it is one of {', '.join(MODES)}")
        for name, value in (
            ("workers", self.max_workers),
            ("batch_size", self.batch_size),
        ):
            if value is not None and not isinstance(value, int):
                raise ConfigError(f"{name} must be a whole number, not {value!r}")
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if self.sync is not None and self.mode != "merge":
            raise ConfigError("a table is kept in step by merging; leave the other mode out")
        if self.sync is not None and self.query.distinct_ids is not None:
            raise ConfigError("a table cannot be kept in step with named profiles alone")
        if isinstance(self.transforms, str):
            raise ConfigError("transforms is a list of names, not one text")

    @property
    def strategy_name(self) -> str:
        """The strategy asked for, or the one that ``parallel`` stands for."""
        return self.strategy or (PARALLEL_STRATEGY if self.parallel else SEQUENTIAL_STRATEGY)


class Assembler:
    """Makes plans: finds plugins in ``host``, gives each the options that are meant for it."""

    def __init__(self, host: PluginHost | None = None, settings: Settings | None = None) -> None:
        self.host = host or default_host()
        self._settings = settings or Settings()

    def plan(self, request: FetchRequest, destination: str | StorageEngine) -> Plan:
        """Return the plan for ``request``. Raises PluginError, ConfigError.

        ``destination`` is a URI, or an engine made by the caller.
        """
        strategy = self.host.strategy(request.strategy_name)
        transforms = [self._named_transform(one) for one in request.transforms]
        target = Destination.parse(destination) if isinstance(destination, str) else None
        sink = self.host.sink(target.sink) if target else None
        used = [strategy, *(one for one, _ in transforms if one is not None)]
        shares = _share_out(request.options, [*used, *([sink] if sink else [])])
        workers = request.max_workers or DEFAULT_WORKERS
        engine = strategy.make(
            max_workers=workers,
            options=self._options(strategy, shares),
        )
        made = self._sink(destination, target, sink, shares)
        if request.sync is not None and "sync" not in made.capabilities:
            raise ConfigError(f"{made.label} cannot keep a table in step; --merge is the next best")
        return Plan(
            table=request.table,
            mode=request.mode,
            query=request.query,
            sink=made,
            strategy=engine,
            strategy_label=str(strategy),
            transforms=tuple(
                self._transform(registered, text, shares) for registered, text in transforms
            ),
            # A strategy may do fewer than it was told, and then says how many.
            workers=getattr(engine, "size", workers),
            paging=request.paging,
            batch_size=request.batch_size,
            tolerance=request.tolerance,
            resume=request.resume,
            sync=request.sync,
            on_batch_complete=request.on_batch_complete,
            on_event=request.on_event,
            cancel=request.cancel,
            host=self.host,
            warnings=tuple(getattr(engine, "warnings", ())),
        )

    def sink(self, destination: str | StorageEngine) -> Sink:
        """Return the sink of a destination, outside of any run. Raises PluginError, ConfigError."""
        target = Destination.parse(destination) if isinstance(destination, str) else None
        registered = self.host.sink(target.sink) if target else None
        shares = _share_out({}, [registered] if registered else [])
        return self._sink(destination, target, registered, shares)

    def executor(self, name: str, max_workers: int, options: Mapping[str, str]) -> Executor:
        """Return the executor ``name`` for as many jobs at once. Raises PluginError, ConfigError.

        ``options`` are what the user gave, for this plugin alone.
        """
        registered = self.host.executor(name)
        shares = _share_out(options, [registered])
        made: Executor = registered.make(
            max_workers=max_workers, options=self._options(registered, shares)
        )
        return made

    def _named_transform(
        self, given: str | Transform
    ) -> tuple[Registered[Any] | None, str | Transform]:
        if not isinstance(given, str):
            return None, given
        return self.host.transform(given.partition(":")[0]), given

    def _transform(
        self,
        registered: Registered[Any] | None,
        given: str | Transform,
        shares: dict[str, dict[str, str]],
    ) -> NamedTransform:
        if registered is None or not isinstance(given, str):
            label = getattr(given, "__qualname__", type(given).__name__)
            return NamedTransform(label, label + _own_identity(given), given)  # type: ignore[arg-type]
        _, mark, argument = given.partition(":")
        options = self._options(registered, shares)
        function = registered.make(argument if mark else None, options=options)
        # A digest: options may hold a key, and an identity is stored with the run.
        parts = (given, sorted(options.items()), _own_identity(function))
        digest = sha256(repr(parts).encode()).hexdigest()[:16]
        label = redact_uri(given)
        identity = f"{label} ({registered.provider}, {digest})"
        return NamedTransform(label, identity, function, registered)

    def _sink(
        self,
        destination: str | StorageEngine,
        target: Destination | None,
        registered: Registered[Any] | None,
        shares: dict[str, dict[str, str]],
    ) -> Sink:
        if target is None or registered is None:
            label = getattr(destination, "label", type(destination).__name__)
            every = frozenset({"append", "replace", "merge"})  # until the engine itself refuses
            return Sink(destination, label, getattr(destination, "capabilities", every))  # type: ignore[arg-type]
        options = self._options(registered, shares) | target.options
        engine = registered.make(target.location, options=options)
        capabilities = getattr(engine, "capabilities", registered.spec.capabilities)
        return Sink(engine, target.label, frozenset(capabilities), registered)

    def _options(
        self, plugin: Registered[Any], shares: dict[str, dict[str, str]]
    ) -> dict[str, Any]:
        given = options_for(self._settings, plugin.spec.name, plugin.option_names())
        return given | shares[str(plugin)]


def _own_identity(transform: object) -> str:
    """Return what a transform says tells it apart from others of the same name and options."""
    return str(getattr(transform, "identity", ""))


def _share_out(
    options: Mapping[str, str], plugins: Iterable[Registered[Any]]
) -> dict[str, dict[str, str]]:
    """Give each option to the plugins of this run that know it; ``NAME.KEY`` goes to one alone.

    Raises PluginError for an option that none of them knows.
    """
    plugins = list(plugins)
    shares: dict[str, dict[str, str]] = {str(plugin): {} for plugin in plugins}
    for key, value in options.items():
        name, mark, rest = key.partition(".")
        takers = [one for one in plugins if mark and one.spec.name == name and one.accepts(rest)]
        if takers:
            key = rest  # noqa: PLW2901
        else:
            takers = [one for one in plugins if one.accepts(key)]
        if not takers:
            raise PluginError(
                f"no plugin of this run has an option {key!r}; there are {_known(plugins)}"
            )
        for taker in takers:
            shares[str(taker)][key] = value
    return shares


def _known(plugins: Iterable[Registered[Any]]) -> str:
    names = {name for one in plugins for name in one.option_names()}
    return ", ".join(sorted(names)) or "none"
