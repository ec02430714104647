"""A user's query, answered row by row in a transaction that can only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from psycopg.types.json import set_json_loads

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_postgres import failures
from mixpanel_fetch_postgres.database import Database

_ROWS = 1_000  # asked from the server at a time


class PostgresAnswer:
    """An :class:`~mixpanel_fetch.protocols.Answer`. JSON comes as the text that it is.

    ``close``: called when the rows have been read.
    """

    def __init__(self, db: Database, sql: str, close: Callable[[], None]) -> None:
        self._close = close
        db.execute("BEGIN TRANSACTION READ ONLY")
        self._cursor = db.server_cursor()
        self._cursor.itersize = _ROWS
        set_json_loads(_text, context=self._cursor)
        with failures.of_a_query():
            self._cursor.execute(sql.encode())
        columns = self._cursor.description or ()
        self.columns = tuple(column.name for column in columns)
        self.types = tuple(_type(db, column.type_code) for column in columns)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            with failures.of_a_query():
                yield from self._cursor
        finally:
            self._close()


def ask(db: Database, sql: str, close: Callable[[], None]) -> PostgresAnswer:
    """Begin to answer ``sql``. Raises ConfigError unless it is one statement that reads."""
    if not sql.strip():
        raise ConfigError("the query is empty; write a SELECT")
    if "\0" in sql:
        raise ConfigError("PostgreSQL takes no NUL character in a query")
    # The server takes what follows DECLARE: a semicolon may only end it.
    return PostgresAnswer(db, sql.strip().rstrip(";"), close)


def _type(db: Database, oid: int) -> str:
    known = db.connection.adapters.types.get(oid)
    return known.regtype if known is not None else str(db.value("SELECT %s::regtype", [oid]))


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else bytes(data).decode()
