"""The sinks that are tried: where each keeps its tables, and how a test reads them.

Another sink joins with an entry of SINKS; what it is put through follows from its capabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from mixpanel_fetch.defaults.duckdb_sink import CAPABILITIES
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.model import RunRecord

Row = tuple[str, str, "datetime | None"]


@dataclass(frozen=True)
class Memory:
    """What a destination remembers of the table's newest run that was not given up."""

    run_id: str
    status: str
    missing: tuple[int, ...]

    @classmethod
    def of(cls, records: Iterable[RunRecord], table: str) -> Memory | None:
        """Return the newest of the runs of ``table``, which come newest first."""
        for record in records:
            if record.info.table == table and record.status != "aborted":
                return cls(record.info.run_id, record.status, record.missing_pages)
        return None


@dataclass(frozen=True)
class Seen:
    """The rows of a table in no order, None for no table; and what is remembered of its run."""

    rows: Sequence[Row] | None
    memory: Memory | None


@dataclass(frozen=True)
class Sink:
    """A sink under test. A place is a path that the sink may make what it needs of.

    ``lay``: make a table that holds these rows. ``look``: see what is there.
    """

    name: str
    capabilities: frozenset[str]
    uri: Callable[[Path], str]
    lay: Callable[[Path, str, Sequence[Row]], None]
    look: Callable[[Path, str], Seen]

    @property
    def modes(self) -> Sequence[str]:
        """What may be done to a table."""
        return ("create", *sorted(self.capabilities & {"append", "replace", "merge"}))


def _lay_in_duckdb(place: Path, table: str, rows: Sequence[Row]) -> None:
    with duckdb.connect(str(place)) as connection:
        connection.execute(
            f"CREATE TABLE {table} (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"
        )
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", list(rows))


def _look_in_duckdb(place: Path, table: str) -> Seen:
    if not place.exists():
        return Seen(None, None)
    # One connection for both: to open a file costs more than to read it.
    with duckdb.connect(str(place)) as connection:
        memory = Memory.of(DuckDBEngine(connection=connection).runs(), table)
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        if (table,) not in names:
            return Seen(None, memory)
        query = f"SELECT distinct_id, properties::VARCHAR, last_seen FROM {table}"
        return Seen(connection.execute(query).fetchall(), memory)


SINKS = {
    "duckdb": Sink(
        "duckdb",
        CAPABILITIES,
        uri=lambda place: f"duckdb:///{place}",
        lay=_lay_in_duckdb,
        look=_look_in_duckdb,
    )
}
