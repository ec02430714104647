"""The user's tables and views, and how one of them is found by its name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from mixpanel_fetch.errors import TableNotFoundError
from mixpanel_fetch.reading import TableInfo
from mixpanel_fetch_postgres.catalog import COLUMNS
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import METADATA_SCHEMA, STAGING_PREFIX, TableName, shown

# Tables, partitioned ones without their parts, views of either kind, foreign tables.
_LISTED = """SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname, c.relname, a.attnum"""


@dataclass(frozen=True)
class Listed:
    """A table or a view: its name as a user writes it, its columns with their types."""

    name: str
    table: TableName
    columns: tuple[tuple[str, str], ...]

    def type_of(self, column: str) -> str | None:
        """Return the type of a column, None where there is none."""
        return dict(self.columns).get(column)


def listed(db: Database, schema: str | None) -> Iterator[Listed]:
    """Yield what is the user's own, by name: our metadata and staging tables are left out.

    ``schema``: that of tables named without one; None: the first of the search path.
    """
    home = schema or db.value("SELECT current_schema()")
    found: dict[TableName, list[tuple[str, str]]] = {}
    for space, table, column, kind in db.execute(_LISTED):
        if space != METADATA_SCHEMA and not table.startswith(STAGING_PREFIX):
            found.setdefault(TableName(space, table), []).append((column, kind))
    names = {one: one.table if one.schema == home else f"{one.schema}.{one.table}" for one in found}
    for one in sorted(found, key=names.__getitem__):
        yield Listed(names[one], one, tuple(found[one]))


def tables_of(db: Database, schema: str | None) -> list[TableInfo]:
    """Count each table and view."""
    return [
        TableInfo(
            one.name,
            int(db.value(f"SELECT count(*) FROM {one.table.sql}")),
            one.columns,
            holds_profiles={column for column, _ in one.columns} >= set(COLUMNS),
        )
        for one in listed(db, schema)
    ]


def find(db: Database, schema: str | None, text: str) -> Listed:
    """Return the table or view called ``table`` or ``schema.table``. Raises TableNotFoundError."""
    every = {one.name: one for one in listed(db, schema)}
    for one in every.values():
        if text in (one.name, f"{one.table.schema}.{one.table.table}"):
            return one
    raise TableNotFoundError(f"there is no table {shown(text)}; {_instead(text, list(every))}")


def _instead(text: str, names: list[str]) -> str:
    if not names:
        return "there is none at all that you may read"
    close = difflib.get_close_matches(text, names, n=1)
    if close:
        return f"did you mean {shown(close[0])}?"
    some = ", ".join(shown(name) for name in names[:5])
    return f"there {'is' if len(names) == 1 else 'are'} {some}" + (", ..." if names[5:] else "")
