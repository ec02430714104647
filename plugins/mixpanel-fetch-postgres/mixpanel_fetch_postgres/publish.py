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
from mixpanel_fetch_postgres import catalog, merging
from mixpanel_fetch_postgres.catalog import Existing
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.staging import Staging

# Rows without an id, too: afterwards the table holds what came, and nothing else.
_DELETE_GONE = """DELETE FROM {target} AS held WHERE NOT EXISTS (
    SELECT FROM {staging} AS new WHERE new.distinct_id = held.distinct_id)"""


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
        return Published(create(staging, target), 0)
    if mode == "create":
        raise catalog.taken(target)
    existing = merging.locked(db, target, oid)
    merging.ready(db, staging)
    rows = staging.rows()
    if mode == "replace":
        _replace(db, staging, existing)
        published = Published(rows, 0)
    else:
        merging.update_differing(db, staging, existing)
        inserted = merging.insert_missing(db, staging, existing)
        published = Published(inserted, rows - inserted)
    staging.drop()
    return published


def create(staging: Staging, target: TableName) -> int:
    """Make the staging table the table, and return its rows. Raises TableExistsError."""
    try:
        staging.become(target)
    except errors.DuplicateTable:
        raise catalog.taken(target) from None
    return staging.rows()


def _replace(db: Database, staging: Staging, target: Existing) -> None:
    if target.keyed:
        db.execute(_DELETE_GONE.format(target=target.name.sql, staging=staging.sql))
        merging.update_differing(db, staging, target)
        merging.insert_missing(db, staging, target)
    else:
        # An id may stand there more than once, and no foreign key can point at it.
        db.execute(f"DELETE FROM {target.name.sql}")
        merging.insert_all(db, staging, target)
