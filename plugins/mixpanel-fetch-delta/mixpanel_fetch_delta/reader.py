"""What can be read of one lake. Nothing here changes it.

DuckDB reads the files of a table's newest version; those in a bucket are fetched first.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

import duckdb

from mixpanel_fetch.errors import TableNotFoundError
from mixpanel_fetch.hookspecs import require_reading
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch_delta import failures, inspection
from mixpanel_fetch_delta.bench import quoted, read
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.names import OURS
from mixpanel_fetch_delta.options import Target
from mixpanel_fetch_delta.table import TYPES, Table, Version

_READS = frozenset({"SELECT", "EXPLAIN", "MULTI"})
"""DuckDB's types of the statements that read: DESCRIBE, SHOW, SUMMARIZE, FROM, VALUES and WITH are
SELECT to it, and PIVOT is MULTI."""

_ROWS = 1_000  # fetched at a time
_EMPTY = (
    "SELECT NULL::VARCHAR AS distinct_id, NULL::VARCHAR AS properties, NULL::TIMESTAMP AS last_seen"
    " WHERE false"
)
# In UTC, without a zone: what Python and other tools take without a library of time zones.
_COLUMNS = "distinct_id, properties, make_timestamp(epoch_us(last_seen)) AS last_seen"


class DuckDBAnswer:
    """An :class:`~mixpanel_fetch.protocols.Answer`. ``close``: called when the rows are read."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: str, close: Callable[[], None]
    ) -> None:
        self._close = close
        with failures.of_a_query():
            self._cursor = connection.execute(sql)
        described = self._cursor.description or ()
        self.columns: Sequence[str] = tuple(str(column[0]) for column in described)
        self.types: Sequence[str] = tuple(str(column[1]) for column in described)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            with failures.of_a_query():
                while rows := self._cursor.fetchmany(_ROWS):
                    yield from rows
        finally:
            self._close()


class Reader:
    """Reads a lake through connections of its own, one for each question."""

    def __init__(self, lake: Lake, target: Target) -> None:
        self._lake, self._target = lake, target
        self._open: list[tuple[duckdb.DuckDBPyConnection, Path]] = []

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables, by name."""
        self._lake.open("read")
        with self._translated("cannot list the tables"):
            return [self._told(name, version) for name, version in self._versions()]

    def query(self, sql: str) -> DuckDBAnswer:
        """Begin to answer ``sql``; what it needs is let go of after the last row."""
        self._lake.open("read")
        place = self._enter()
        try:
            connection, _ = place
            _admit(connection, sql)
            for name in self._names():
                # More than a query names may be shown to it, but not every table of a bucket.
                if name.lower() in sql.lower():
                    self._show(place, name)
            self._shut_off(place)
            return DuckDBAnswer(connection, sql, lambda: self._leave(place))
        except BaseException:
            self._leave(place)
            raise

    def inspect(self, table: str, top: int) -> TableSummary:
        """Return what is in ``table``."""
        self._lake.open("read")
        place = self._enter()
        try:
            version = self._show(place, table)
            if version is None:
                raise self._missing(table)
            with self._translated(f"cannot inspect {table}"):
                return inspection.inspect(place[0], table, top)
        finally:
            self._leave(place)

    def interrupt(self) -> None:
        """End what is running soon. May be called from any thread."""
        for connection, _ in tuple(self._open):
            connection.interrupt()

    def close(self) -> None:
        """Let go of every answer that was not read to its end."""
        for place in tuple(self._open):
            self._leave(place)

    def _names(self) -> list[str]:
        return [name for name in self._lake.folders("") if name != OURS]

    def _versions(self) -> Iterator[tuple[str, Version]]:
        for name in self._names():
            version = Table(self._lake, name).find()
            if version is not None:
                yield name, version

    def _told(self, name: str, version: Version) -> TableInfo:
        columns = tuple(version.columns())
        return TableInfo(name, version.rows(), columns, TYPES.keys() <= dict(columns).keys())

    def _show(self, place: tuple[duckdb.DuckDBPyConnection, Path], name: str) -> Version | None:
        """Make a view of a table, if there is one."""
        connection, workshop = place
        with self._translated(f"cannot read table {name}"):
            version = Table(self._lake, name).find() if name in self._names() else None
            if version is None:
                return None
            columns = dict(version.columns())
            files = [self._lake.local(f"{name}/{one.path}", workshop) for one in version.files()]
            ours = TYPES.items() <= columns.items()
            body = f"SELECT {_COLUMNS if ours else '*'} FROM {read(files)}" if files else _EMPTY
            connection.execute(f'CREATE VIEW "{name}" AS {body}')
            return version

    def _missing(self, table: str) -> TableNotFoundError:
        with self._translated("cannot list the tables"):
            names = [name for name, _ in self._versions()]
        close = difflib.get_close_matches(table, names, 1)
        hint = f"; did you mean {close[0]}?" if close else "; `mp tables` lists those there are"
        return TableNotFoundError(f"there is no table {table} in {self._lake.label}{hint}")

    def _enter(self) -> tuple[duckdb.DuckDBPyConnection, Path]:
        workshop = Path(tempfile.mkdtemp(prefix="mixpanel-fetch-delta-"))
        connection = duckdb.connect(
            config={
                "memory_limit": f"{self._target.habits.memory // 1024}KiB",
                "temp_directory": str(workshop / "overflow"),
            }
        )
        self._open.append((connection, workshop))
        return connection, workshop

    def _shut_off(self, place: tuple[duckdb.DuckDBPyConnection, Path]) -> None:
        """Let a query read the tables and nothing else of this machine."""
        connection, workshop = place
        folders = {str(workshop), str(self._target.folder or workshop)}
        # A path that is read is a pattern, and is compared as such.
        folders |= {escape(folder) for folder in folders}
        listed = ", ".join(quoted(Path(folder)) for folder in folders)
        connection.execute(f"SET allowed_directories = [{listed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

    def _leave(self, place: tuple[duckdb.DuckDBPyConnection, Path]) -> None:
        if place in self._open:
            self._open.remove(place)
            connection, workshop = place
            connection.close()
            shutil.rmtree(workshop, ignore_errors=True)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with failures.translated(doing, secrets=self._target.secrets):
            yield


def _admit(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    with failures.of_a_query():
        statements = connection.extract_statements(sql)
    require_reading([str(one.type).rpartition(".")[2] for one in statements], _READS)
