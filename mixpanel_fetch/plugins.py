"""The plugin host: discovery, isolation per plugin, duplicate names, one catalogue."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pluggy

from mixpanel_fetch import hookspecs
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, PluginError
from mixpanel_fetch.hookspecs import (
    CAPABILITIES,
    PROJECT,
    ExecutorSpec,
    SinkSpec,
    StrategySpec,
    TransformSpec,
)
from mixpanel_fetch.secret import redact_uri

log = logging.getLogger("mixpanel_fetch")
S = TypeVar("S", StrategySpec, TransformSpec, SinkSpec, ExecutorSpec)

_KINDS: dict[str, tuple[str, type[Any]]] = {
    "strategy": ("register_strategies", StrategySpec),
    "transform": ("register_transforms", TransformSpec),
    "sink": ("register_sinks", SinkSpec),
    "executor": ("register_executors", ExecutorSpec),
}


@dataclass(frozen=True)
class Provider:
    """Where a plugin comes from. ``distribution`` is a file's name for ``--plugin FILE``."""

    plugin: str
    distribution: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Registered(Generic[S]):
    """A named thing and who registered it."""

    kind: str
    spec: S
    provider: Provider

    def __str__(self) -> str:
        return f"the {self.kind} {self.spec.name} ({self.provider})"

    def make(self, *args: Any, options: Mapping[str, Any], **kwargs: Any) -> Any:
        """Call the factory with validated options. Raises PluginError, or what it raises itself.

        A MixpanelFetchError passes as it is; a ValueError is the plugin's word on its input.
        """
        checked = self.checked_options(options)
        try:
            return self.spec.factory(*args, **kwargs, **checked)
        except MixpanelFetchError:
            raise
        except ValueError as error:
            words = redact_uri(" ".join(str(error).split())) or "it refused its input"
            raise ConfigError(f"{self}: {words}") from error
        except Exception as error:
            raise self.fault(error) from error

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Validate ``options`` with the plugin's schema. Raises PluginError, one line."""
        from marshmallow import ValidationError

        from mixpanel_fetch.schemas import one_line

        if self.spec.options is None:
            if options:
                raise PluginError(f"{self} takes no option {sorted(options)[0]!r}")
            return {}
        try:
            return dict(self.spec.options().load(dict(options)))
        except ValidationError as error:
            raise PluginError(f"options of {self}: {one_line(error)}") from None

    def option_names(self) -> set[str]:
        """Return the options that the plugin's schema names."""
        if self.spec.options is None:
            return set()
        fields = self.spec.options().load_fields
        return {name if one.data_key is None else one.data_key for name, one in fields.items()}

    def accepts(self, option: str) -> bool:
        """Whether the plugin's schema knows ``option``, or takes any."""
        if self.spec.options is None:
            return False
        return option in self.option_names() or self.spec.options().unknown == "include"

    def fault(self, error: BaseException) -> PluginError:
        """Return the error that says this plugin raised ``error`` where it should not have."""
        return PluginError(f"{self} failed: {one_line_of(error)}", exit_code=1)


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    provider: Provider
    reason: str


class PluginHost:
    """Every plugin there is: installed ones by entry point, and ``files`` by path.

    Loading is isolated: a plugin that fails is listed in :attr:`broken` and matters only when
    something of it is asked for. A file that fails raises PluginError, because it was asked for.
    """

    def __init__(self, files: Iterable[str | Path] = (), *, installed: bool = True) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.broken: list[Broken] = []
        self._registered: list[Registered[Any]] = []
        self._silenced: set[str] = set()
        if installed:
            self._load_entry_points()
        for file in dict.fromkeys(Path(file).resolve() for file in files):
            self._load_file(file)

    def register(self, plugin: object, provider: Provider) -> None:
        """Add one plugin object. Raises PluginError, and leaves nothing of it behind."""
        try:
            if inspect.isclass(plugin):
                plugin = plugin()
            if self.manager.is_registered(plugin):
                return
            self.manager.register(plugin, self._unused_name(provider))
            self._refuse_unknown_hooks(plugin)
            found = list(self._specs_of(plugin, provider))
        except (Exception, SystemExit) as error:
            if self.manager.is_registered(plugin):
                self.manager.unregister(plugin)
            raise PluginError(f"the plugin {provider.plugin}: {one_line_of(error)}") from error
        self._registered += found

    def all(self) -> list[Registered[Any]]:
        """Return everything registered, by kind and name."""
        return sorted(self._registered, key=lambda one: (one.kind, one.spec.name))

    def strategy(self, name: str) -> Registered[StrategySpec]:
        """Return the strategy ``name``. Raises PluginError: unknown, broken or claimed twice."""
        return self._find("strategy", name)

    def transform(self, name: str) -> Registered[TransformSpec]:
        """Return the transform ``name``. Raises PluginError as :meth:`strategy`."""
        return self._find("transform", name)

    def sink(self, name: str) -> Registered[SinkSpec]:
        """Return the sink ``name``. Raises PluginError as :meth:`strategy`."""
        return self._find("sink", name)

    def executor(self, name: str) -> Registered[ExecutorSpec]:
        """Return the executor ``name``. Raises PluginError as :meth:`strategy`."""
        return self._find("executor", name)

    def observe(self, hook: str, **kwargs: Any) -> None:
        """Call an observer hook. One that raises is logged, once, and fails nothing."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            wanted = {name: kwargs[name] for name in implementation.argnames}
            try:
                implementation.function(**wanted)
            except (Exception, SystemExit) as error:  # noqa: BLE001  (must not fail a run)
                if implementation.plugin_name not in self._silenced:
                    self._silenced.add(implementation.plugin_name)
                    log.warning(
                        "the plugin %s failed in %s and is not reported again: %s",
                        implementation.plugin_name,
                        hook,
                        one_line_of(error),
                    )

    def _find(self, kind: str, name: str) -> Registered[Any]:
        claims = [one for one in self._registered if (one.kind, one.spec.name) == (kind, name)]
        if len(claims) == 1:
            return claims[0]
        if claims:
            both = " and ".join(str(one.provider) for one in claims)
            raise PluginError(f"the {kind} {name!r} is claimed by {both}; uninstall one of them")
        known = sorted({one.spec.name for one in self._registered if one.kind == kind})
        there = f"there are {', '.join(known)}" if known else "none is installed"
        broken = "".join(f"; broken: {b.provider} ({b.reason})" for b in self.broken)
        raise PluginError(f"no {kind} is called {name!r}; {there}{broken}")

    def _load_entry_points(self) -> None:
        for entry in sorted(entry_points(group=PROJECT), key=lambda entry: entry.name):
            name = entry.dist.name if entry.dist else "unknown"
            provider = Provider(entry.name, name, entry.dist.version if entry.dist else "")
            try:
                self.register(entry.load(), provider)
            except (Exception, SystemExit) as error:  # noqa: BLE001  (any plugin, any failure)
                self.broken.append(Broken(provider, one_line_of(error)))

    def _load_file(self, file: Path) -> None:
        try:
            module = _import_file(file)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"cannot load the plugin {file.name}: {one_line_of(error)}"
            ) from error
        self.register(module, Provider(file.stem, file.name))

    def _unused_name(self, provider: Provider) -> str:
        name = f"{provider.distribution}:{provider.plugin}"
        while self.manager.has_plugin(name):
            name += "'"
        return name

    def _refuse_unknown_hooks(self, plugin: object) -> None:
        for caller in self.manager.get_hookcallers(plugin) or ():
            mine = [one for one in caller.get_hookimpls() if one.plugin is plugin]
            if not caller.has_spec() and not all(one.optionalhook for one in mine):
                raise PluginError(f"there is no hook called {caller.name}")

    def _specs_of(self, plugin: object, provider: Provider) -> Iterator[Registered[Any]]:
        for kind, (hook, spec_type) in _KINDS.items():
            for implementation in getattr(self.manager.hook, hook).get_hookimpls():
                if implementation.plugin is not plugin:
                    continue
                for spec in implementation.function() or ():
                    if not isinstance(spec, spec_type):
                        raise PluginError(f"{hook} returned {spec!r}, not a {spec_type.__name__}")
                    _check_spec(kind, spec)
                    yield Registered(kind, spec, provider)


def _check_spec(kind: str, spec: Any) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", spec.name):
        raise PluginError(f"a {kind} cannot be called {spec.name!r}")
    if spec.options is not None and not inspect.isclass(spec.options):
        raise PluginError(f"options of the {kind} {spec.name} must be a Schema class")
    unknown = sorted(getattr(spec, "capabilities", frozenset()) - CAPABILITIES)
    if unknown:
        raise PluginError(f"the {kind} {spec.name} claims the unknown capability {unknown[0]}")


@cache
def default_host() -> PluginHost:
    """Return the host of what is installed, loaded once per process."""
    return PluginHost()


def one_line_of(error: BaseException) -> str:
    """Return an exception as one line: its type and its words, without secrets.

    Drivers like to quote the address that they could not reach.
    """
    words = redact_uri(" ".join(str(error).split()))
    if isinstance(error, MixpanelFetchError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _import_file(file: Path) -> ModuleType:
    name = f"mixpanel_fetch_plugin_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError("no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    spec.loader.exec_module(module)
    return module
