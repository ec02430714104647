"""The hooks, and the small values that they register.

Hooks register named things; they do not run per row. The user names what runs, and in which
order. The pluggy project name and the entry-point group are both ``mixpanel_fetch``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import LoadReport, Mode, ProfileBatchProgress, RunInfo
from mixpanel_fetch.protocols import FetchStrategy, StorageEngine, Transform

if TYPE_CHECKING:
    import click
    import marshmallow

    from mixpanel_fetch.result import RunResult

PROJECT = "mixpanel_fetch"
API_VERSION = 1
"""Grows when a hook is added. Hooks may gain arguments, never lose them."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

CAPABILITIES = frozenset(
    {
        *("append", "replace", "merge", "keyed", "resume", "stream", "query", "sync", "columns"),
        "concurrent",
    }
)
"""What a sink may claim: the modes beyond ``create``; ``keyed`` ids are unique in a table;
``resume`` a page is durable when ``write`` returns, and the engine is a ResumableEngine;
``stream`` rows are visible at once and nothing can be taken back; ``query`` what is there can be
read: the engine is a QueryableEngine; ``sync`` tables are kept in step: it is a SyncEngine;
``columns`` properties are shown as typed columns: it is a ColumnsEngine; ``concurrent`` runs into
different tables of one location may land at the same time, in one process or in several."""


@dataclass(frozen=True)
class StrategySpec:
    """A fetch strategy: ``factory(max_workers=..., **options)`` returns a FetchStrategy.

    ``options`` is a marshmallow Schema class; the host validates what the user gave with it.
    """

    name: str
    factory: Callable[..., FetchStrategy]
    options: type[marshmallow.Schema] | None = None
    summary: str = ""


@dataclass(frozen=True)
class TransformSpec:
    """A transform: ``factory(argument, **options)`` returns a callable from Batch to Batch or None.

    Written ``--transform NAME`` or ``--transform NAME:ARGUMENT``; ``argument`` is None for the
    first form. A factory raises ConfigError or ValueError for an argument that it cannot use.
    """

    name: str
    factory: Callable[..., Transform]
    options: type[marshmallow.Schema] | None = None
    summary: str = ""


@dataclass(frozen=True)
class SinkSpec:
    """A sink: ``factory(location, **options)`` returns a StorageEngine.

    Written ``--to NAME://LOCATION?option=value``. ``location`` is the text between ``://`` and
    ``?`` with one leading slash removed; percent-decoding is the sink's.
    """

    name: str
    factory: Callable[..., StorageEngine]
    options: type[marshmallow.Schema] | None = None
    summary: str = ""
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ExecutorSpec:
    """Where the jobs of ``fetch_many`` run: ``factory(max_workers=..., **options)``.

    It returns a :class:`concurrent.futures.Executor`, whose ``shutdown`` lets go of everything.
    ``max_workers``: how many jobs may run at once, a number from 1 on. What is submitted can be
    pickled, returns a value that can, and looks credentials up where it runs. A future can be
    cancelled until its job begins, and not later.

    An executor whose jobs run in other processes should have a method ``stop_running(ask)``: it
    has ``ask()`` called once in each process where jobs run or wait, and comes back soon. ``ask``
    can be pickled; it makes running jobs end within a second, each with its outcome, and later
    ones not begin. Without the method, such jobs run to their end.
    """

    name: str
    factory: Callable[..., Executor]
    options: type[marshmallow.Schema] | None = None
    summary: str = ""


@hookspec
def register_strategies() -> Iterable[StrategySpec]:  # type: ignore[empty-body]
    """Return the fetch strategies of this plugin. Called once, when plugins are first needed."""


@hookspec
def register_transforms() -> Iterable[TransformSpec]:  # type: ignore[empty-body]
    """Return the transforms of this plugin. Called once, when plugins are first needed."""


@hookspec
def register_sinks() -> Iterable[SinkSpec]:  # type: ignore[empty-body]
    """Return the sinks of this plugin. Called once, when plugins are first needed."""


@hookspec
def register_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Return the executors of this plugin. Called once, when plugins are first needed."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to ``mp``. Called when the user names a command that ``mp`` itself lacks."""


@hookspec
def page_completed(progress: ProfileBatchProgress, run: RunInfo) -> None:
    """Observe a page that has landed, or failed for good. Called in the thread of the fetch.

    An observer that raises is logged once and never fails a run.
    """


@hookspec
def run_completed(result: RunResult, run: RunInfo) -> None:
    """Observe a run that has ended, whole or not. Isolated like ``page_completed``."""


class BaseLoad:
    """What most loads share. A sink may inherit it, and need not."""

    def landed_pages(self) -> frozenset[int]:
        """Return no page: nothing was resumed."""
        return frozenset()

    def commit(self) -> LoadReport | None:
        """Do nothing: what was written is visible already."""
        return None

    def abort(self) -> None:
        """Do nothing: there is nothing to take back."""

    def suspend(self) -> None:
        """Keep nothing."""
        self.abort()


class BaseEngine:
    """What most engines share. A sink may inherit it, and need not."""

    def check(self, table: str, mode: Mode) -> None:
        """Find nothing wrong; that the mode is among the capabilities is the host's to see."""

    def close(self) -> None:
        """Hold nothing, let go of nothing."""


def require_mode(name: str, mode: Mode, capabilities: Iterable[str]) -> None:
    """Raise ConfigError unless ``mode`` is ``create`` or among ``capabilities``."""
    if mode != "create" and mode not in set(capabilities):
        raise ConfigError(f"the sink {name} cannot {mode}; choose another mode or another sink")


def require_reading(statements: Sequence[str], reading: Container[str]) -> None:
    """Raise ConfigError unless a query is one statement that only reads.

    ``statements``: of what kind each of its statements is, in the store's own words; ``reading``:
    the kinds that only read.
    """
    if not statements:
        raise ConfigError("the query is empty; write a SELECT")
    if len(statements) > 1:
        raise ConfigError(f"one statement at a time, not {len(statements)}")
    if statements[0] not in reading:
        raise ConfigError(
            f"{statements[0]} does more than read; only SELECT and its like can be asked"
        )
