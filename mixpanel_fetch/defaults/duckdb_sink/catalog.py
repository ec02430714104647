"""What stands in the database where a table is to land, and whether it can take the rows."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from mixpanel_fetch.defaults.duckdb_sink import failures
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import METADATA_SCHEMA, TableName, fold, quoted
from mixpanel_fetch.errors import ConfigError, TableExistsError, TableNotFoundError
from mixpanel_fetch.model import Mode

OF_TABLE = "WHERE database_name = $1 AND schema_name = $2 AND table_name = $3"
"""What a statement about the catalog says of one table, with the parameters of ``which``."""

COLUMNS = {
    "distinct_id": frozenset({"VARCHAR"}),
    "properties": frozenset({"JSON", "VARCHAR"}),
    "last_seen": frozenset({"TIMESTAMP"}),
}
"""The columns that an existing table must have, and the types that hold our values unchanged."""


def which(db: Database, table: TableName) -> list[str]:
    """Return the parameters of ``OF_TABLE``."""
    return [db.catalog, table.schema, table.table]


def find_table(db: Database, name: TableName) -> TableName | None:
    """Return the table as the catalog spells it, or None. Raises ConfigError for a view."""
    entries = db.execute(
        "SELECT schema_name, table_name, false FROM duckdb_tables() WHERE database_name = $1"
        " UNION ALL"
        " SELECT schema_name, view_name, true FROM duckdb_views() WHERE database_name = $1",
        [db.catalog],
    )
    for schema, table, is_view in entries:
        found = TableName(schema, table)
        if found.same(name):
            if is_view:
                raise ConfigError(f"{name} is a view; choose another table name")
            return found
    return None


def located(db: Database, name: TableName) -> TableName:
    """Return ``name`` with its schema as the catalog spells it. Raises ConfigError without one."""
    schemas = db.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE database_name = $1", [db.catalog]
    )
    for (schema,) in schemas:
        if fold(schema) == fold(name.schema):
            return TableName(schema, name.table)
    raise ConfigError(f"there is no schema {name.schema}; create it, or leave it out of the name")


def admit(db: Database, name: TableName, mode: Mode) -> TableName | None:
    """Return the existing table that ``mode`` is about, None where there is none.

    Raises TableExistsError, TableNotFoundError, or ConfigError for a table that cannot take part.
    """
    existing = find_table(db, located(db, name))
    if existing is None:
        if mode == "append":
            raise missing(name)
        return None
    if mode == "create":
        raise taken(name)
    if mode == "replace":
        _refuse_unreplaceable(db, existing)
    else:
        _refuse_unfit(db, existing)
    return existing


def taken(name: TableName) -> TableExistsError:
    """Return the error of a create over a table that is there."""
    return TableExistsError(f"table {name} exists; use --append, --merge or --replace")


def missing(name: TableName) -> TableNotFoundError:
    """Return the error of an append to a table that is not there."""
    return TableNotFoundError(f"table {name} does not exist; leave out --append, or use --merge")


@dataclass(frozen=True)
class Belongings:
    """What a user has attached to a table, as statements that attach it again."""

    indexes: tuple[str, ...]
    comments: tuple[str, ...]

    def restore(self, db: Database) -> None:
        """Attach everything to the table that now has the name."""
        for statement in (*self.indexes, *self.comments):
            db.execute(statement)


def belongings(db: Database, table: TableName) -> Belongings:
    """Return the indexes and comments of ``table``; comments of other columns than ours go."""
    this = which(db, table)
    indexes = db.execute(
        f"SELECT index_name, sql, comment FROM duckdb_indexes() {OF_TABLE} AND sql IS NOT NULL",
        this,
    )
    noted = [
        (f"INDEX {quoted(db.catalog, table.schema, index)}", comment)
        for index, _, comment in indexes
    ]
    noted += [
        (f"TABLE {db.sql(table)}", comment)
        for (comment,) in db.execute(f"SELECT comment FROM duckdb_tables() {OF_TABLE}", this)
    ]
    noted += [
        (f"COLUMN {db.sql(table)}.{quoted(column)}", comment)
        for column, comment in db.execute(
            f"SELECT column_name, comment FROM duckdb_columns() {OF_TABLE}", this
        )
        if fold(column) in COLUMNS
    ]
    return Belongings(
        tuple(sql for _, sql, _ in indexes),
        tuple(
            f"COMMENT ON {what} IS '{comment.replace(chr(39), chr(39) * 2)}'"
            for what, comment in noted
            if comment is not None
        ),
    )


def has_index(db: Database, table: TableName) -> bool:
    """Whether DuckDB keeps an index of any kind over ``table``."""
    return bool(db.value(f"SELECT index_count FROM duckdb_tables() {OF_TABLE}", which(db, table)))


def _refuse_unreplaceable(db: Database, table: TableName) -> None:
    # Rehearsed and rolled back: DuckDB itself knows best who refers to the table, and which index
    # needs a column that the new table will not have.
    try:
        with db.transaction():
            kept = belongings(db, table)
            db.execute(f"DROP TABLE {db.sql(table)}")
            db.execute(
                f"CREATE TABLE {db.sql(table)}"
                " (distinct_id VARCHAR NOT NULL, properties JSON, last_seen TIMESTAMP)"
            )
            kept.restore(db)
            raise _RehearsalOver
    except _RehearsalOver:
        return
    except duckdb.Error as error:
        raise failures.explained(error, f"cannot replace {table}", opening=True) from error


class _RehearsalOver(Exception):  # noqa: N818 - it ends a transaction, and is no error
    pass


def _refuse_unfit(db: Database, table: TableName) -> None:
    columns = db.execute(
        "SELECT column_name, data_type, is_nullable, column_default FROM duckdb_columns()"
        f" {OF_TABLE}",
        which(db, table),
    )
    types = {fold(name): kind for name, kind, *_ in columns}
    for name, fitting in COLUMNS.items():
        if types.get(name) not in fitting:
            has = f"is {types[name]}" if name in types else "is missing"
            raise ConfigError(
                f"table {table} cannot take profiles: column {name} {has},"
                f" it must be {' or '.join(sorted(fitting))}"
            )
    for name, _, is_nullable, default in columns:
        if fold(name) not in COLUMNS and not (is_nullable or default is not None):
            raise ConfigError(
                f"table {table} cannot take profiles: column {name} must not be NULL"
                " and has no default"
            )


def is_bare(db: Database) -> bool:
    """Whether the database holds nothing but our own metadata."""
    return not any(
        db.value(
            f"SELECT count(*) FROM {function}() WHERE database_name = $1"
            f" AND schema_name <> '{METADATA_SCHEMA}' {condition}",
            [db.catalog],
        )
        for function, condition in (
            ("duckdb_tables", ""),
            ("duckdb_views", "AND NOT internal"),
            ("duckdb_sequences", ""),
            ("duckdb_schemas", "AND NOT internal AND schema_name <> 'main'"),
            ("duckdb_types", "AND NOT internal"),
            ("duckdb_functions", "AND NOT internal"),
        )
    )
