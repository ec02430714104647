"""Properties as typed columns: a view over the jsonb of a table, which stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import errors

from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_postgres import catalog, kinds
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.listing import Listed
from mixpanel_fetch_postgres.mending import mended_id
from mixpanel_fetch_postgres.names import TableName, quoted

MOST = 1600
"""Columns that PostgreSQL gives a view."""

_DOCUMENT = "_mixpanel_fetch_document"
# Concatenated, a document is whole in memory: read from its compressed form once a row, not once a
# value, which OFFSET 0 keeps the planner from undoing. Conditions on the table's own columns still
# find its indexes.
_VIEW = f"""CREATE OR REPLACE VIEW {{view}} AS SELECT {{columns}} FROM {{table}} AS held
    CROSS JOIN LATERAL (SELECT ({{document}}) || '{{{{}}}}' AS document OFFSET 0) AS {_DOCUMENT}"""
_OF_NO_TEXT = frozenset({"boolean", "integer", "number"})
_COLUMNS = """SELECT attname FROM pg_catalog.pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_KEPT = """SELECT format('GRANT %%s ON %%s TO %%s%%s', privilege_type, oid::regclass,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_catalog.pg_class, aclexplode(relacl) WHERE oid = %s AND grantee <> relowner
    UNION ALL SELECT format('COMMENT ON VIEW %%s IS %%L', objoid::regclass, description)
    FROM pg_catalog.pg_description
    WHERE objoid = %s AND classoid = 'pg_catalog.pg_class'::regclass AND objsubid = 0"""


def create(
    db: Database,
    table: Listed,
    view: TableName,
    columns: Sequence[Column],
    null_texts: Sequence[str],
) -> None:
    """Make or change the view, in one transaction. Raises ConfigError for what it cannot be.

    Who may read it, and its comment, stay.
    """
    document = kinds.document_of(table)
    _refuse_what_is_no_view(db, table, view)
    own = [column for column, _ in table.columns if column != "properties"]
    _refuse_what_does_not_fit(table, view, own, columns)
    shown = _shown(own, columns, null_texts)
    with db.transaction():
        oid = catalog.found(db, view)[0]
        names = _in_place(shown, [] if oid is None else db.execute(_COLUMNS, [oid]))
        statement = _VIEW.format(
            view=view.sql,
            table=table.table.sql,
            document=document,
            columns=", ".join(f"{shown[name]} AS {quoted(name)}" for name in names),
        )
        try:
            with db.savepoint():
                db.execute(statement)
        except errors.InvalidTableDefinition:
            # Columns that are there can only stay as they are; others need another view.
            kept = [statement for (statement,) in db.execute(_KEPT, [oid, oid])]
            db.execute(f"DROP VIEW {view.sql}")
            for again in (statement, *kept):
                db.execute(again)


def _shown(
    own: Sequence[str], columns: Sequence[Column], null_texts: Sequence[str]
) -> dict[str, str]:
    """Return an expression for each column of the view, in order."""
    mine = {column: f"held.{quoted(column)}" for column in own}
    first = {column: mine.pop(column) for column in ("distinct_id",) if column in mine}
    nulls = kinds.null_values(null_texts)
    typed = {column.name: kinds.TYPED[column.type](_value(column, nulls)) for column in columns}
    return {**first, **typed, **mine}


def _value(column: Column, nulls: Sequence[str]) -> str:
    """Return an expression for the value of a property, NULL where it counts as null."""
    value = f"({_DOCUMENT}.document -> {kinds.literal(mended_id(column.property))})"
    for null in () if column.type in _OF_NO_TEXT else nulls:
        value = f"NULLIF({value}, {null})"
    return value


def _in_place(shown: Mapping[str, str], there: Sequence[tuple[str]]) -> list[str]:
    """Return the names of the columns: those that the view has, as they stand, then the others.

    So it can be changed where it only grows, whoever else has built upon it.
    """
    names = [name for (name,) in there if name in shown]
    return [*names, *(name for name in shown if name not in names)]


def _refuse_what_is_no_view(db: Database, table: Listed, view: TableName) -> None:
    oid, kind = catalog.found(db, view)
    if oid is not None and (kind != "v" or view == table.table):
        what = catalog.KINDS.get(kind, "a table")
        raise ConfigError(f"{view} is {what}; choose another name for the view with --view")


def _refuse_what_does_not_fit(
    table: Listed, view: TableName, own: Sequence[str], columns: Sequence[Column]
) -> None:
    names = {column.name for column in columns}
    clashing = [column for column in own if column in names]
    if clashing:
        raise ConfigError(
            f"column {clashing[0]} of {table.name} has the name that a property is to have in"
            f" {view}; rename it"
        )
    if len(own) + len(columns) > MOST:
        raise ConfigError(
            f"{table.name} has {len(columns):,} properties, and a view at most {MOST:,} columns"
            " in PostgreSQL; fetch fewer of them with --output-properties"
        )


def kinds_of(db: Database, table: Listed, null_texts: Sequence[str]) -> dict[str, dict[Kind, int]]:
    """Return how many values of each kind each property has. Raises ConfigError.

    ``null_texts``: texts that count as null.
    """
    seen: dict[str, dict[Kind, int]] = {}
    for name, kind, count in db.execute(kinds.counting(table, null_texts)):
        seen.setdefault(name, {})[kind] = count
    return seen
