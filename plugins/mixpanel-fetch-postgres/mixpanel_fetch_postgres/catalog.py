"""What stands in the database where a table is to land, and whether it can take the rows."""

from __future__ import annotations

from dataclasses import dataclass

from mixpanel_fetch.errors import ConfigError, TableExistsError, TableNotFoundError
from mixpanel_fetch.model import Mode
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import METADATA_SCHEMA, TableName, shown

COLUMNS = {
    "distinct_id": ("text", "character varying"),
    "properties": ("jsonb", "json"),
    "last_seen": ("timestamp with time zone", "timestamp without time zone"),
}
"""The columns that an existing table must have, and the types that hold our values."""

KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a type",
    "t": "a table of the server's own",
}
_FIND = """SELECT c.oid, c.relkind FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s"""
_COLUMNS = """SELECT attname, format_type(atttypid, NULL), attnotnull,
    atthasdef OR attidentity <> '', attgenerated <> '' OR attidentity = 'a'
    FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum"""
# A key that any two rows of one id would break, now and not at the end of a transaction.
_KEYED = """SELECT count(*) FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'distinct_id'"""
_TABLE_RIGHTS = """SELECT missing FROM unnest(%s::text[]) AS missing
    WHERE NOT has_table_privilege(%s::oid, missing)"""
# By its id: of a schema that goes while it is looked at, nothing lacks.
_SCHEMA_RIGHTS = """SELECT missing FROM pg_catalog.pg_namespace AS n,
    unnest(ARRAY['USAGE', 'CREATE']) AS missing
    WHERE n.nspname = %s AND NOT has_schema_privilege(n.oid, missing)"""
_OWNED = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = %s"
_NEEDED = {
    "append": ["SELECT", "INSERT", "UPDATE"],
    "merge": ["SELECT", "INSERT", "UPDATE"],
    "replace": ["SELECT", "INSERT", "UPDATE", "DELETE"],
}


@dataclass(frozen=True)
class Existing:
    """A table that is there: the types of its columns, and whether its ids are unique."""

    oid: int
    name: TableName
    types: dict[str, str]
    keyed: bool


def located(db: Database, name: TableName) -> TableName:
    """Return ``name`` with its schema. Raises ConfigError where there is no such schema."""
    if not name.schema:
        schema = db.value("SELECT current_schema()")
        if schema is None:
            raise ConfigError(
                f"no schema of the search_path exists; write SCHEMA.{name.table},"
                " or set the option schema"
            )
        return name.within(schema)
    if not db.value(
        "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = %s", [name.schema]
    ):
        raise ConfigError(
            f"there is no schema {shown(name.schema)}; create it, or leave it out of the name"
        )
    return name


def found(db: Database, name: TableName) -> tuple[int | None, str]:
    """Return the id of what is called so, and its kind (relkind); None where nothing is."""
    for oid, kind in db.execute(_FIND, [name.schema, name.table]):
        return int(oid), str(kind)
    return None, ""


def find_oid(db: Database, name: TableName) -> int | None:
    """Return the id of a table, None where there is none. Raises ConfigError for anything else."""
    oid, kind = found(db, name)
    if oid is not None and kind not in "rp":
        what = KINDS.get(kind, "no table")
        raise ConfigError(f"{name} is {what}; choose another table name")
    return oid


def admit(db: Database, name: TableName, mode: Mode) -> None:
    """See whether ``mode`` can be done to a table that stands, or is missing, at ``name``.

    Raises TableExistsError, TableNotFoundError, or ConfigError for one that cannot take part.
    """
    oid = find_oid(db, name)
    if oid is None and mode == "append":
        raise missing(name)
    if oid is not None and mode == "create":
        raise taken(name)
    _require_rights_on_schemas(db, name)
    for table in ("runs", "pages", "sync"):
        ours = TableName(METADATA_SCHEMA, table)
        require_rights(db, ours, find_oid(db, ours), "replace")
    if oid is not None:
        require_rights(db, name, oid, mode)
        existing_table(db, name, oid)


def existing_table(db: Database, name: TableName, oid: int) -> Existing:
    """Return what is known of a table. Raises ConfigError unless it can take our rows.

    It keeps its identity in every mode, and so its columns must fit for replace, too.
    """
    columns = db.execute(_COLUMNS, [oid])
    types = {column: kind for column, kind, *_ in columns}
    for column, fitting in COLUMNS.items():
        if types.get(column) not in fitting:
            has = f"is {types[column]}" if column in types else "is missing"
            raise ConfigError(
                f"table {name} cannot take profiles: column {column} {has},"
                f" it must be {' or '.join(fitting)}"
            )
    for column, _, is_required, has_default, is_generated in columns:
        if column in COLUMNS and is_generated:
            raise ConfigError(f"table {name} cannot take profiles: column {column} is generated")
        if column not in COLUMNS and is_required and not has_default:
            raise ConfigError(
                f"table {name} cannot take profiles: column {shown(column)} must not be NULL"
                " and has no default"
            )
    return Existing(oid, name, types, _is_keyed(db, oid))


def types_of(db: Database, oid: int) -> dict[str, str]:
    """Return the type of each column of a table."""
    return {column: kind for column, kind, *_ in db.execute(_COLUMNS, [oid])}


def taken(name: TableName) -> TableExistsError:
    """Return the error of a create over a table that is there."""
    return TableExistsError(f"table {name} exists; use --append, --merge or --replace")


def missing(name: TableName) -> TableNotFoundError:
    """Return the error of an append to a table that is not there."""
    return TableNotFoundError(f"table {name} does not exist; leave out --append, or use --merge")


def require_rights(db: Database, name: TableName, oid: int | None, mode: Mode) -> None:
    """Raise ConfigError unless the user may do to a table what ``mode`` does to one."""
    lacking = [] if oid is None else db.execute(_TABLE_RIGHTS, [_NEEDED[mode], oid])
    if lacking:
        rights = ", ".join(right for (right,) in lacking)
        raise ConfigError(f"user {_user(db)} lacks the right to {rights} on table {name}")


def require_owner(db: Database, name: TableName, oid: int, what: str) -> None:
    """Raise ConfigError unless the user may add ``what`` to a table."""
    if not all(owned for (owned,) in db.execute(_OWNED, [oid])):
        raise ConfigError(
            f"user {_user(db)} does not own table {name} and so cannot add {what} to it; have its"
            " owner add it, or keep who is gone with --delete ignore"
        )


def has_schema(db: Database, schema: str) -> bool:
    """Whether there is a schema of this name."""
    found = db.value("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = %s", [schema])
    return bool(found)


def _is_keyed(db: Database, oid: int) -> bool:
    return bool(db.value(_KEYED, [oid]))


def _require_rights_on_schemas(db: Database, name: TableName) -> None:
    _require_rights_on_schema(db, name.schema)
    if has_schema(db, METADATA_SCHEMA):
        _require_rights_on_schema(db, METADATA_SCHEMA)
    elif not db.value("SELECT has_database_privilege(current_database(), 'CREATE')"):
        raise ConfigError(
            f"user {_user(db)} may not create the schema {METADATA_SCHEMA}; have an administrator"
            f" run CREATE SCHEMA {METADATA_SCHEMA} AUTHORIZATION {_user(db)}"
        )


def _require_rights_on_schema(db: Database, schema: str) -> None:
    # Staging is made there, also where the table itself is there already.
    lacking = db.execute(_SCHEMA_RIGHTS, [schema])
    if lacking:
        rights = ", ".join(right for (right,) in lacking)
        raise ConfigError(
            f"user {_user(db)} may not make a table in schema {shown(schema)}; have its owner"
            f" run GRANT {rights} ON SCHEMA {shown(schema)} TO {_user(db)}"
        )


def _user(db: Database) -> str:
    return shown(str(db.value("SELECT current_user::text")))
