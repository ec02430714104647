"""A user's query: admitted if it only reads, answered row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb

from mixpanel_fetch.defaults.duckdb_sink import failures
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import require_reading

_READS = frozenset({"SELECT", "EXPLAIN", "MULTI"})
"""DuckDB's types of the statements that read: DESCRIBE, SHOW, SUMMARIZE, FROM, VALUES and WITH are
SELECT to it, and PIVOT is MULTI. What such a statement could write, the transaction refuses."""

_ROWS = 1_000  # fetched at a time: more is not faster, and rows may be wide


class DuckDBAnswer:
    """An :class:`~mixpanel_fetch.protocols.Answer`. It is computed once its rows are asked for.

    ``close``: called when the rows have been read.
    """

    def __init__(self, db: Database, sql: str, close: Callable[[], None]) -> None:
        self._db = db
        self._sql = sql
        self._close = close
        with failures.of_a_query():
            self._relation = db.connection.sql(sql)
        if self._relation is None:
            raise ConfigError("this statement has no rows to answer with")
        self.columns = tuple(self._relation.columns)
        self.types = tuple(str(kind) for kind in self._relation.types)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        # Not from the relation: DuckDB 2 computes it again for each call.
        try:
            with failures.of_a_query():
                cursor = self._db.connection.execute(self._sql)
                while rows := cursor.fetchmany(_ROWS):
                    yield from rows
        finally:
            self._close()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the rows as an Arrow stream, to be read before the engine is closed."""
        with failures.of_a_query():
            return self._relation.__arrow_c_stream__(requested_schema)


def ask(db: Database, sql: str, close: Callable[[], None]) -> DuckDBAnswer:
    """Begin to answer ``sql`` on a connection of its own.

    Raises ConfigError unless it is one statement that reads.
    """
    _admit(db.connection, sql)
    with failures.of_a_query():
        # A file that is open to read still lets COPY write another one; this does not.
        db.execute("BEGIN TRANSACTION READ ONLY")
    return DuckDBAnswer(db, sql, close)


def _admit(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    with failures.of_a_query():
        statements = connection.extract_statements(sql)
    require_reading([str(one.type).rpartition(".")[2] for one in statements], _READS)
