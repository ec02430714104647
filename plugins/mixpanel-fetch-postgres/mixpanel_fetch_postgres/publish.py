"""Staging becomes the table, or goes into it. ``publish`` belongs in one transaction.

A table that is there keeps its identity in every mode, and so its views, grants, indexes, comments
and triggers, and the foreign keys that point at it. Replace, too, changes only what differs: rows
whose profile is gone go, those that changed are updated, new ones come. Readers are never blocked
and see the old rows or the new ones. TRUNCATE would do neither: it locks readers out until the
commit, shows an empty table to whoever has an older snapshot, and fails under a foreign key. DELETE
of everything would break, or cascade over, foreign keys to profiles that are still there.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors

from mixpanel_fetch.model import Mode
from mixpanel_fetch_postgres import catalog
from mixpanel_fetch_postgres.catalog import Existing
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.staging import Staging

# Writers wait, readers do not: between the statements below nobody may add an id.
_LOCK = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
# A join that does not fit into memory comes out in random order, and writing the table in random
# order takes twice as long.
_MEMORY = "SET LOCAL work_mem = '64MB'"
_ANALYZE = "ANALYZE {} (distinct_id)"
_DELETE_GONE = """DELETE FROM {target} AS held WHERE NOT EXISTS (
    SELECT FROM {staging} AS new WHERE new.distinct_id = held.distinct_id)"""
# Compared byte by byte: as values, 1.10 and 1.1 are equal. A row that is the same already is not
# written again, so that an hourly --merge costs what has changed.
_UPDATE = """UPDATE {target} AS held SET properties = new.properties{json},
    last_seen = new.last_seen{instant} FROM {staging} AS new
    WHERE new.distinct_id = held.distinct_id AND ROW(held.properties, held.last_seen)::record
    *<> ROW(new.properties{json}, new.last_seen{instant})::record"""
_INSERT = """INSERT INTO {target} (distinct_id, properties, last_seen)
    SELECT new.distinct_id, new.properties{json}, new.last_seen{instant} FROM {staging} AS new"""
_MISSING = (
    " WHERE NOT EXISTS (SELECT FROM {target} AS held WHERE held.distinct_id = new.distinct_id)"
)


@dataclass(frozen=True)
class Published:
    """What became of the staged rows: new in the table, or in the place of older ones."""

    inserted: int
    updated: int


def publish(db: Database, staging: Staging, target: TableName, mode: Mode) -> Published:
    """Make the staged rows visible as ``mode`` says, and leave no staging table.

    Raises TableExistsError, TableNotFoundError or ConfigError if the target changed meanwhile so
    that it can no longer take them.
    """
    oid = catalog.find_oid(db, target)
    if oid is None:
        if mode == "append":
            raise catalog.missing(target)
        return _create(staging, target)
    if mode == "create":
        raise catalog.taken(target)
    try:
        db.execute(_LOCK.format(target.sql))
    except errors.UndefinedTable:
        raise catalog.missing(target) from None
    existing = catalog.existing_table(db, target, oid)
    staging.drop_repeated()
    rows = staging.rows()
    db.execute(_MEMORY)
    db.execute(_ANALYZE.format(staging.sql))
    if mode == "replace":
        _replace(db, staging, existing)
        published = Published(rows, 0)
    else:
        inserted = _upsert(db, staging, existing)
        published = Published(inserted, rows - inserted)
    staging.drop()
    return published


def _create(staging: Staging, target: TableName) -> Published:
    try:
        staging.become(target)
    except errors.DuplicateTable:
        raise catalog.taken(target) from None
    return Published(staging.rows(), 0)


def _replace(db: Database, staging: Staging, target: Existing) -> None:
    names = _names(staging, target)
    if target.keyed:
        db.execute(_DELETE_GONE.format(**names))
        _upsert(db, staging, target)
    else:
        # An id may stand there more than once, and no foreign key can point at it.
        db.execute("DELETE FROM {target}".format(**names))
        db.execute(_INSERT.format(**names))


def _upsert(db: Database, staging: Staging, target: Existing) -> int:
    """Update what differs, insert what is missing, and return how many were inserted.

    Not ON CONFLICT: it asks for a key, cannot tell new rows from old ones, and takes longer.
    """
    names = _names(staging, target)
    db.execute(_UPDATE.format(**names))
    return db.count((_INSERT + _MISSING).format(**names))


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
