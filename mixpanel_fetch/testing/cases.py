"""What the author of a plugin tells a conformance kit: one small value a kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mixpanel_fetch.hookspecs import ExecutorSpec, SinkSpec, StrategySpec, TransformSpec
from mixpanel_fetch.protocols import StorageEngine, Transform

Row = Mapping[str, Any]
"""``distinct_id`` (text), ``properties`` (a dict), ``last_seen`` (a datetime in UTC, or None).

Of a sink that claims ``sync`` also ``deleted_at``, where a row is marked as gone.
"""

RowReader = Callable[[str], "Sequence[Row] | None"]
"""Called with a table's name; returns its rows, None where there is no such table."""


def _select_all(table: str) -> str:
    name = table.replace('"', '""')
    return f'SELECT * FROM "{name}"'


@dataclass(frozen=True)
class SinkCase:
    """A sink to be tested, and how to read back what it stored.

    ``destination``: the URI as a user writes it after ``--to``. The table must not exist when a
    test begins: put a temporary directory, a new schema or the like into the URI, or a new name
    into ``table``.

    ``rows``: returns the rows of a table, None where there is none. It must use its own
    connection and not the sink; a naive ``last_seen`` is taken as UTC. It is called while loads
    are open, too. For a ``stream``, it returns what has been sent so far.

    ``spec``: for a sink that is not installed: its SinkSpec. ``engine``: for an engine that is
    handed in ready-made (``Workspace(destination=engine)``): returns a new one at each call, over
    the same store. ``options``: the sink's options, as after ``-o``.

    Where a store honestly differs: ``replaced`` maps each character that it cannot hold to what it
    stores in its place (``{"\\0": "\\ufffd"}``); ``last_seen_step`` is the finest step of its
    instants; ``stored`` maps a row that was sent to the row that is read back, for anything else.

    ``secrets``: texts within ``destination`` and ``options`` that must never be shown.
    ``unusable``: a destination of the same kind that cannot be used (no such directory, a closed
    port); it should hold the same secrets.

    ``crash``: called with an engine in place of ``close``, to leave it as a killed process would;
    by default it is only forgotten.

    ``select_all``: for a sink that can be queried: returns the query for every row of a table,
    ``distinct_id`` among its columns; by default ``SELECT * FROM "table"``.

    For a sink that claims ``sync``: ``versions`` returns those of a table's profiles, rows that
    have ``valid_from`` and ``valid_to`` (None: it still holds) beside the rest; ``history`` False:
    it keeps none. For one that claims ``columns`` and not ``query``: ``view`` returns the rows of
    a view.
    """

    destination: str = ""
    rows: RowReader = field(kw_only=True)
    spec: SinkSpec | None = field(default=None, kw_only=True)
    engine: Callable[[], StorageEngine] | None = field(default=None, kw_only=True)
    options: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    table: str = field(default="profiles", kw_only=True)
    replaced: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    last_seen_step: timedelta = field(default=timedelta(microseconds=1), kw_only=True)
    stored: Callable[[dict[str, Any]], Row] | None = field(default=None, kw_only=True)
    secrets: Sequence[str] = field(default=(), kw_only=True, repr=False)
    unusable: str | None = field(default=None, kw_only=True, repr=False)
    crash: Callable[[StorageEngine], None] | None = field(default=None, kw_only=True)
    select_all: Callable[[str], str] = field(default=_select_all, kw_only=True)
    history: bool = field(default=True, kw_only=True)
    versions: RowReader | None = field(default=None, kw_only=True)
    view: Callable[[str], Sequence[Mapping[str, Any]]] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not self.destination and self.engine is None:
            raise ValueError("a SinkCase needs a destination, or an engine")


@dataclass(frozen=True)
class TransformCase:
    """A transform to be tested.

    ``transform``: as a user writes it after ``--transform`` (``"drop:$email"``), or a function.
    ``spec``: for one that is not installed: its TransformSpec. ``options``: as after ``-o``.

    ``rows``: rows that the transform is about, tested besides the kit's own; each has a
    ``distinct_id``, and ``properties`` and ``last_seen`` where it needs them. ``refused``: rows
    that it raises an error for.

    What it does on purpose: ``changes_ids``, ``changes_values`` (of properties that keep their
    names), ``changes_last_seen`` (other than emptying it).
    """

    transform: str | Transform
    spec: TransformSpec | None = field(default=None, kw_only=True)
    options: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    rows: Sequence[Row] = field(default=(), kw_only=True)
    refused: Sequence[Row] = field(default=(), kw_only=True)
    changes_ids: bool = field(default=False, kw_only=True)
    changes_values: bool = field(default=False, kw_only=True)
    changes_last_seen: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class StrategyCase:
    """A strategy to be tested.

    ``strategy``: its name, as after ``--strategy``. ``spec``: for one that is not installed: its
    StrategySpec. ``options``: as after ``-o``. ``max_workers``: how many workers it is told to
    use.

    ``ahead``: how many pages it may have asked for beyond those that were taken from it; by
    default twice as many as it asks for at once, and two.
    """

    strategy: str
    spec: StrategySpec | None = field(default=None, kw_only=True)
    options: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    max_workers: int = field(default=3, kw_only=True)
    ahead: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class ExecutorCase:
    """An executor to be tested.

    ``executor``: its name, as after ``--executor``. ``spec``: for one that is not installed: its
    ExecutorSpec. ``options``: as after ``-o``.

    ``kill`` False: no test kills a worker of it, since others use it as well, or it begins the
    call again on another one. ``patience``: how many seconds a call may take to begin, or to end.
    """

    executor: str
    spec: ExecutorSpec | None = field(default=None, kw_only=True)
    options: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)
    kill: bool = field(default=True, kw_only=True)
    patience: float = field(default=60.0, kw_only=True)
