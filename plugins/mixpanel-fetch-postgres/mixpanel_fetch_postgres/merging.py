"""Staged rows on their way into a table that is there: what differs, what is missing.

Belongs in one transaction. A row that is the same already is not written again, so that an hourly
run costs what has changed.
"""

from __future__ import annotations

from psycopg import errors

from mixpanel_fetch_postgres import catalog
from mixpanel_fetch_postgres.catalog import Existing
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.staging import Staging

# Writers wait, readers do not: between the statements below nobody may add an id.
LOCK = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
GONE = """held.distinct_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM {staging} AS new WHERE new.distinct_id = held.distinct_id)"""
"""Which rows of a table, ``held``, were not staged. One without an id is nobody's."""

# A join that does not fit into memory comes out in random order, and writing the table in random
# order takes twice as long.
_MEMORY = "SET LOCAL work_mem = '64MB'"
_ANALYZE = "ANALYZE {} (distinct_id)"
# Compared byte by byte: as values, 1.10 and 1.1 are equal.
_UPDATE = """UPDATE {target} AS held SET properties = new.properties{json},
    last_seen = new.last_seen{instant}{unmarked} FROM {staging} AS new
    WHERE new.distinct_id = held.distinct_id AND (ROW(held.properties, held.last_seen)::record
    *<> ROW(new.properties{json}, new.last_seen{instant})::record{or_marked})"""
_IDS = """WITH changed AS ({} RETURNING held.distinct_id)
    SELECT count(DISTINCT distinct_id) FROM changed"""
_INSERT = """INSERT INTO {target} (distinct_id, properties, last_seen)
    SELECT new.distinct_id, new.properties{json}, new.last_seen{instant} FROM {staging} AS new"""
_MISSING = (
    " WHERE NOT EXISTS (SELECT FROM {target} AS held WHERE held.distinct_id = new.distinct_id)"
)


def ready(db: Database, staging: Staging) -> None:
    """Make the staged ids unique, and the joins with them quick."""
    staging.drop_repeated()
    db.execute(_MEMORY)
    db.execute(_ANALYZE.format(staging.sql))


def locked(db: Database, name: TableName, oid: int) -> Existing:
    """Keep others from writing to a table. Raises ConfigError unless it can take our rows."""
    try:
        db.execute(LOCK.format(name.sql))
    except errors.UndefinedTable:
        raise catalog.missing(name) from None
    return catalog.existing_table(db, name, oid)


def update_differing(
    db: Database, staging: Staging, target: Existing, *, mark: str | None = None
) -> int:
    """Update what differs, and return how many profiles that were.

    ``mark``: a column that is to be NULL, too.
    """
    statement = _UPDATE.format(
        **_names(staging, target),
        unmarked=f", {mark} = NULL" if mark else "",
        or_marked=f" OR held.{mark} IS NOT NULL" if mark else "",
    )
    # Without a key, an id may stand there more than once.
    return db.count(statement) if target.keyed else int(db.value(_IDS.format(statement)))


def insert_missing(db: Database, staging: Staging, target: Existing) -> int:
    """Insert what is missing, and return how many rows that were.

    Not ON CONFLICT: it asks for a key, cannot tell new rows from old ones, and takes longer.
    """
    return db.count((_INSERT + _MISSING).format(**_names(staging, target)))


def insert_all(db: Database, staging: Staging, target: Existing) -> None:
    """Insert every staged row."""
    db.execute(_INSERT.format(**_names(staging, target)))


def _names(staging: Staging, target: Existing) -> dict[str, str]:
    as_json = "" if target.types["properties"] == "jsonb" else "::json"
    # The session's time zone is UTC.
    without_zone = target.types["last_seen"] == "timestamp without time zone"
    return {
        "target": target.name.sql,
        "staging": staging.sql,
        "json": as_json,
        "instant": "::timestamp" if without_zone else "",
    }
