"""Versions of profiles: a table beside the one that is kept in step (slowly changing rows)."""

from __future__ import annotations

from datetime import datetime, timezone

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_postgres import catalog
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.merging import GONE, LOCK
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.staging import Staging

SUFFIX = "_history"
_COLUMNS = (
    *("distinct_id", "properties", "last_seen"),
    *("valid_from", "valid_to", "is_current", "content_hash"),
)
# The index finds the version that holds, and sees to it that there is one.
_CREATE = (
    """CREATE TABLE {history} (distinct_id text NOT NULL, properties jsonb,
    last_seen timestamp with time zone, valid_from timestamp with time zone NOT NULL,
    valid_to timestamp with time zone, is_current boolean NOT NULL, content_hash text NOT NULL)""",
    "CREATE UNIQUE INDEX ON {history} (distinct_id) WHERE is_current",
)
_HASH = "encode(sha256(convert_to(new.properties::text, 'UTF8')), 'hex')"
_END = "UPDATE {history} AS held SET valid_to = {at}, is_current = false"
_END_CHANGED = f"""{_END} FROM {{staging}} AS new WHERE held.is_current
    AND held.distinct_id = new.distinct_id AND held.content_hash <> {_HASH}"""
_END_GONE = f"{_END} WHERE held.is_current AND {GONE}"
# Whoever has no version that holds: it is new, it came back, or its last one has just ended.
_BEGIN = f"""INSERT INTO {{history}} ({", ".join(_COLUMNS)})
    SELECT new.distinct_id, new.properties, new.last_seen, {{at}}, NULL, true, {_HASH}
    FROM {{staging}} AS new WHERE NOT EXISTS (SELECT FROM {{history}} AS held
    WHERE held.is_current AND held.distinct_id = new.distinct_id)"""


class History:
    """The table ``NAME_history``: a row for each version of a profile, from when to when it held.

    A version ends where another content comes, or the profile is gone; ``last_seen`` alone makes
    none. ``at``: when the fetch began. Raises ConfigError as :func:`history_of`.
    """

    def __init__(self, db: Database, of: TableName, at: datetime) -> None:
        self._db = db
        self._name = history_of(of)
        self._at = f"timestamptz '{at.astimezone(timezone.utc).isoformat()}'"

    def take_in(self, staging: Staging, *, others_gone: bool) -> None:
        """End what holds no longer, and begin what is new. Belongs in a transaction.

        ``others_gone``: profiles that are not staged are there no more. The staged ids must be
        unique. Raises ConfigError as :func:`admit`.
        """
        names = {"history": self._name.sql, "staging": staging.sql, "at": self._at}
        if catalog.find_oid(self._db, self._name) is None:
            for statement in _CREATE:
                self._db.execute(statement.format(**names))
        else:
            self._db.execute(LOCK.format(self._name.sql))
            admit(self._db, self._name)
        self._db.execute(_END_CHANGED.format(**names))
        self._db.execute(_BEGIN.format(**names))
        if others_gone:
            self._db.execute(_END_GONE.format(**names))


def history_of(name: TableName) -> TableName:
    """Return where the versions of a table are. Raises ConfigError where its name is too long."""
    return TableName.parse(name.table + SUFFIX, name.schema)


def admit(db: Database, name: TableName) -> None:
    """Refuse what is called so and holds no versions, or that the user may not write to.

    Raises ConfigError.
    """
    oid = catalog.find_oid(db, name)
    if oid is None:
        return
    if not {*_COLUMNS} <= catalog.types_of(db, oid).keys():
        raise ConfigError(f"table {name} is there and holds no history; rename it")
    catalog.require_rights(db, name, oid, "merge")
