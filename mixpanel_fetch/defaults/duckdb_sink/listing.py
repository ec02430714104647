"""The user's tables and views, and how one of them is found by its name."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import (
    METADATA_SCHEMA,
    STAGING_PREFIX,
    TableName,
    fold,
    shown,
)
from mixpanel_fetch.errors import TableNotFoundError
from mixpanel_fetch.reading import TableInfo

_log = logging.getLogger(__name__)
_COLUMNS = """SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()
    WHERE database_name = $1 AND NOT internal ORDER BY schema_name, table_name, column_index"""
_OF_PROFILES = frozenset({"distinct_id", "properties", "last_seen"})


@dataclass(frozen=True)
class Listed:
    """A table or a view as the catalog has it: columns with their types."""

    name: TableName
    columns: tuple[tuple[str, str], ...]

    def type_of(self, column: str) -> str | None:
        """Return the type of a column of our own, None where there is none."""
        return {fold(name): kind for name, kind in self.columns}.get(column)


def listed(db: Database) -> Iterator[Listed]:
    """Yield what is the user's own, by name: our metadata and staging tables are left out."""
    found: dict[TableName, list[tuple[str, str]]] = {}
    for schema, table, column, kind in db.execute(_COLUMNS, [db.catalog]):
        if fold(schema) != METADATA_SCHEMA and not fold(table).startswith(STAGING_PREFIX):
            found.setdefault(TableName(schema, table), []).append((column, kind))
    for name in sorted(found, key=str):
        yield Listed(name, tuple(found[name]))


def tables_of(db: Database) -> list[TableInfo]:
    """Count each table and view. A view that can no longer be read is logged and left out."""
    tables = []
    for one in listed(db):
        try:
            rows = int(db.value(f"SELECT count(*) FROM {db.sql(one.name)}"))
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            _log.warning("%s is left out: %s", one.name, str(error).partition("\n")[0])
            continue
        holds = {fold(column) for column, _ in one.columns} >= _OF_PROFILES
        tables.append(TableInfo(str(one.name), rows, one.columns, holds_profiles=holds))
    return tables


def find(db: Database, text: str) -> Listed:
    """Return the table or view called ``table`` or ``schema.table``. Raises TableNotFoundError."""
    every = {str(one.name): one for one in listed(db)}
    if text in every:
        return every[text]
    wanted = fold(text.removeprefix("main."))
    for name, one in every.items():
        if fold(name) == wanted:
            return one
    raise TableNotFoundError(f"there is no table {shown(text)}; {_instead(text, list(every))}")


def _instead(text: str, names: list[str]) -> str:
    if not names:
        return "nothing has been fetched into this database yet"
    close = difflib.get_close_matches(text, names, n=1)
    if close:
        return f"did you mean {shown(close[0])}?"
    listed = ", ".join(shown(name) for name in names[:5])
    return f"there {'is' if len(names) == 1 else 'are'} {listed}" + (", ..." if names[5:] else "")
