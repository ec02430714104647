"""Staging becomes the table, or goes into it. ``publish`` belongs in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from mixpanel_fetch.defaults.duckdb_sink import catalog
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import TableName
from mixpanel_fetch.defaults.duckdb_sink.options import Index
from mixpanel_fetch.defaults.duckdb_sink.staging import Staging
from mixpanel_fetch.defaults.duckdb_sink.upsert import Upsert
from mixpanel_fetch.model import Mode

KEY_UP_TO = 100_000
"""Rows up to which a table has a primary key unless told otherwise.

DuckDB keeps a key's index in memory, 94 bytes an id and up to 160 while it is built, and makes the
file three times as large. Up to here nobody notices; beyond, memory would grow with the rows.
"""
_PORTION = 100_000
"""Staged rows that one join holds in memory."""


@dataclass(frozen=True)
class Published:
    """What became of the staged rows: new in the table, or in the place of older ones."""

    inserted: int
    updated: int


def prepare(db: Database, staging: Staging, target: TableName, mode: Mode, index: Index) -> None:
    """Make the staged ids unique, and a table that is to be made ready for its indexes.

    Nothing visible changes, and a resume finds it well.
    """
    staging.drop_repeated()
    existing = catalog.find_table(db, target)
    if existing is not None and mode != "replace":
        return
    keyed = index == "primary" or (index == "auto" and staging.count() <= KEY_UP_TO)
    if keyed or (existing is not None and catalog.belongings(db, existing).indexes):
        staging.prepare_index()
    if keyed:
        staging.want_key()


def publish(db: Database, staging: Staging, target: TableName, mode: Mode) -> Published:
    """Make the prepared rows visible as ``mode`` says, and leave no staging table.

    Raises TableExistsError, TableNotFoundError or ConfigError if the target changed meanwhile so
    that it can no longer take them.
    """
    existing = catalog.find_table(db, target)
    if existing is None:
        if mode == "append":
            raise catalog.missing(target)
        return Published(staging.become(target.table), 0)
    if mode == "create":
        raise catalog.taken(target)
    if mode == "replace":
        kept = catalog.belongings(db, existing)
        db.execute(f"DROP TABLE {db.sql(existing)}")
        rows = staging.become(existing.table)
        kept.restore(db)
        return Published(rows, 0)
    return _upsert(db, staging, existing)


def _upsert(db: Database, staging: Staging, target: TableName) -> Published:
    names = {"target": db.sql(target), "staging": staging.sql}
    updated = db.value(
        "SELECT count(*) FROM {staging} SEMI JOIN {target} USING (distinct_id)".format(**names)
    )
    inserted = staging.count() - updated
    upsert = Upsert(db, target)
    portions = staging.count() // _PORTION + 1
    for portion in range(portions):
        rows = "(SELECT * FROM {staging} WHERE page_index % $1 = $2)".format(**names)
        upsert.write(rows, [portions, portion], updates=updated)
    staging.drop()
    return Published(inserted, updated)
