"""Rows brought into a table that is there: in the place of those of the same id, or added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from mixpanel_fetch.defaults.duckdb_sink.catalog import COLUMNS, OF_TABLE, which
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, fold

DELETED_AT = "deleted_at"
MANY = 25_000
"""Rows from which on those of the table are deleted and inserted anew, where that may be.

DuckDB keeps what it updates in place in memory until the transaction ends, some 4 KB a profile.
What is deleted is a bit a row, and what is inserted goes to the file; but it takes two to three
times as long, the checkpoint included, which compacts the table.
"""

# Measured against ON CONFLICT and UPDATE + anti-join: as fast or faster with and without a key or
# an index, and the only one of them that asks for no key.
_MERGE = """MERGE INTO {target} AS held USING {rows} AS new ON held.distinct_id = new.distinct_id
    WHEN MATCHED THEN UPDATE SET properties = new.properties, last_seen = new.last_seen{unmarked}
    WHEN NOT MATCHED THEN INSERT (distinct_id, properties, last_seen)
    VALUES (new.distinct_id, new.properties, new.last_seen)"""
_DELETE = "DELETE FROM {target} WHERE distinct_id IN (SELECT new.distinct_id FROM {rows} AS new)"
_ONCE = """SELECT count(*) = count(DISTINCT distinct_id)
    FROM (SELECT distinct_id FROM {target} SEMI JOIN {rows} AS new USING (distinct_id))"""
_INSERT = """INSERT INTO {target} (distinct_id, properties, last_seen)
    SELECT new.distinct_id, new.properties, new.last_seen FROM {rows} AS new"""


class Upsert:
    """Writes rows into ``target``, whose other columns stay as they are.

    ``unmark``: a row that comes is no longer marked as deleted. ``write`` belongs in a transaction.
    """

    def __init__(self, db: Database, target: TableName, *, unmark: bool = False) -> None:
        self._db = db
        self._target = db.sql(target)
        self._unmarked = f", {DELETED_AT} = NULL" if unmark else ""
        self._may_renew = _may_renew(db, target, {*COLUMNS, *([DELETED_AT] if unmark else [])})

    def write(self, rows: str, parameters: Sequence[Any] = (), *, updates: int) -> None:
        """Write ``rows``, a table or subquery with an id once.

        ``updates``: how many rows of the table give way in this transaction, so far.
        """
        names = {"target": self._target, "rows": rows, "unmarked": self._unmarked}
        # A user's own table may hold an id more than once, and all of its rows are to stay.
        renews = (
            self._may_renew
            and updates >= MANY
            and self._db.value(_ONCE.format(**names), parameters)
        )
        for statement in (_DELETE, _INSERT) if renews else (_MERGE,):
            self._db.execute(statement.format(**names), parameters)


def _may_renew(db: Database, target: TableName, columns: set[str]) -> bool:
    """Whether nothing is lost when rows of ``target`` are deleted and inserted anew.

    It has ``columns`` alone, and nothing refers to a row or watches it. DuckDB 1 never gives back
    the space of deleted rows where there is a key.
    """
    if int(duckdb.__version__.partition(".")[0]) < 2:
        return False
    this = which(db, target)
    found = db.execute(f"SELECT column_name FROM duckdb_columns() {OF_TABLE}", this)
    watched = db.value(f"SELECT count(*) FROM duckdb_triggers() {OF_TABLE}", this)
    referred = db.value(
        "SELECT count(*) FROM duckdb_constraints() WHERE database_name = $1"
        " AND constraint_type = 'FOREIGN KEY' AND referenced_table = $2",
        [db.catalog, target.table],
    )
    ours = {fold(name) for (name,) in found} == columns
    return ours and not (watched or referred)
