"""Versions of profiles: a table beside the one that is kept in step (slowly changing rows)."""

from __future__ import annotations

from datetime import datetime

from mixpanel_fetch.defaults.duckdb_sink import catalog
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import TableName
from mixpanel_fetch.errors import ConfigError

SUFFIX = "_history"
_COLUMNS = (
    "distinct_id",
    "properties",
    "last_seen",
    "valid_from",
    "valid_to",
    "is_current",
    "content_hash",
)
_CREATE = """CREATE TABLE {history} (distinct_id VARCHAR NOT NULL, properties JSON {compression},
    last_seen TIMESTAMP, valid_from TIMESTAMP NOT NULL, valid_to TIMESTAMP,
    is_current BOOLEAN NOT NULL, content_hash VARCHAR NOT NULL)"""
_CHANGED = """CREATE OR REPLACE TEMP TABLE mixpanel_fetch_changed AS
    SELECT new.distinct_id, sha256(new.properties) AS content_hash FROM {rows} AS new
    LEFT JOIN (SELECT distinct_id, content_hash FROM {history} WHERE is_current) AS held
    USING (distinct_id)
    WHERE held.content_hash IS DISTINCT FROM sha256(new.properties)"""
_END = """UPDATE {history} SET valid_to = $1, is_current = false WHERE is_current AND {which}"""
_BEGIN = """INSERT INTO {history}
    SELECT distinct_id, new.properties, new.last_seen, $1, NULL, true, content_hash
    FROM {rows} AS new JOIN mixpanel_fetch_changed USING (distinct_id)"""
_REPLACED = "distinct_id IN (SELECT distinct_id FROM mixpanel_fetch_changed)"
_GONE = "distinct_id NOT IN (SELECT distinct_id FROM {rows})"


class History:
    """The table ``NAME_history``: a row for each version of a profile, from when to when it held.

    A version ends where another content comes, or the profile is gone; ``last_seen`` alone makes
    none. ``at``: when the fetch began, in UTC.
    """

    def __init__(self, db: Database, of: TableName, at: datetime) -> None:
        self._db = db
        self._name = history_of(of)
        self._at = at

    def take_in(self, rows: str, *, others_gone: bool) -> None:
        """End what holds no longer, and begin what is new. Belongs in a transaction.

        ``rows``: profiles as they are now, a table or a subquery. ``others_gone``: there are no
        more than these. Raises ConfigError for a table of that name that is none of ours.
        """
        names = {"history": self._db.sql(self._name), "rows": rows}
        self._make(names["history"])
        self._db.execute(_CHANGED.format(**names))
        self._db.execute(_END.format(**names, which=_REPLACED), [self._at])
        self._db.execute(_BEGIN.format(**names), [self._at])
        self._db.execute("DROP TABLE mixpanel_fetch_changed")
        if others_gone:
            self._db.execute(_END.format(**names, which=_GONE.format(**names)), [self._at])

    def _make(self, table: str) -> None:
        if find_history(self._db, self._name) is None:
            compression = "USING COMPRESSION zstd" if self._db.has_zstd() else ""
            self._db.execute(_CREATE.format(history=table, compression=compression))


def history_of(name: TableName) -> TableName:
    """Return the name of the table that has the versions of ``name``."""
    return TableName(name.schema, name.table + SUFFIX)


def find_history(db: Database, name: TableName) -> TableName | None:
    """Return the table ``name`` of versions, None where there is none.

    Raises ConfigError for one that is none of ours.
    """
    found = catalog.find_table(db, name)
    if found is None:
        return None
    columns = db.execute(
        f"SELECT column_name FROM duckdb_columns() {catalog.OF_TABLE}", catalog.which(db, found)
    )
    if not {*_COLUMNS} <= {column for (column,) in columns}:
        raise ConfigError(f"table {found} is there and holds no history; rename it")
    return found
