"""A fetch brought into a table that is kept in step with it: only what differs is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.sync import SyncOrder
from mixpanel_fetch_postgres import catalog, history, merging
from mixpanel_fetch_postgres.catalog import Existing
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.history import History
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.publish import create
from mixpanel_fetch_postgres.staging import Staging

DELETED_AT = "deleted_at"
_MARKS = ("timestamp with time zone", "timestamp without time zone")
# What is deferred would forbid to alter the table in the transaction that wrote to it.
_ADD_MARK = (
    "SET CONSTRAINTS ALL IMMEDIATE",
    f"ALTER TABLE {{target}} ADD {DELETED_AT} timestamp with time zone",
)
_COUNT = """SELECT count(*) FILTER (WHERE new.distinct_id IS NULL AND held.distinct_id IS NOT NULL),
    count(*) FROM {target} AS held LEFT JOIN {staging} AS new USING (distinct_id) WHERE {live}"""
_TAKE_OUT = {
    "hard": f"DELETE FROM {{target}} AS held WHERE {{live}} AND {merging.GONE}",
    "mark": f"UPDATE {{target}} AS held SET {DELETED_AT} = {{at}}"
    f" WHERE {{live}} AND {merging.GONE}",
}


@dataclass(frozen=True)
class Differences:
    """What bringing a table in step changed, in rows."""

    inserted: int
    updated: int
    unchanged: int
    gone: int


class InStep:
    """One table that follows a project, as ``order`` says.

    ``at``: when the fetch began. Raises ConfigError for a name whose history cannot have one.
    """

    def __init__(self, db: Database, name: TableName, order: SyncOrder, at: datetime) -> None:
        self._db = db
        self._name = name
        self._order = order
        self._at = f"timestamptz '{at.astimezone(timezone.utc).isoformat()}'"
        self._history = History(db, name, at) if order.history else None

    def count_gone(self, staging: Staging) -> tuple[int, int]:
        """Return how many rows were not fetched any more, and how many there are.

        Rows marked as deleted are left out of both. Belongs in a transaction.
        """
        oid = catalog.find_oid(self._db, self._name)
        if oid is None:
            return 0, 0
        merging.ready(self._db, staging)
        existing = catalog.existing_table(self._db, self._name, oid)
        statement = _COUNT.format(**self._names(staging, marked=_has_mark(existing)))
        gone, rows = self._db.execute(statement)[0]
        return int(gone), int(rows)

    def publish(self, staging: Staging, *, complete: bool) -> Differences:
        """Write what differs, take out what is gone, and leave no staging table.

        ``complete``: the staged rows are all there are, of a full fetch. The table is made where
        it is missing. Belongs in one transaction.
        """
        deletes = complete and self._order.delete != "ignore"
        oid = catalog.find_oid(self._db, self._name)
        existing = None if oid is None else merging.locked(self._db, self._name, oid)
        if existing is not None:
            _require_markable(existing, self._order)
        merging.ready(self._db, staging)
        if self._history is not None:
            self._history.take_in(staging, others_gone=deletes)
        if existing is None:
            inserted = create(staging, self._name)
            if self._order.delete == "mark":
                self._add_mark()
            return Differences(inserted, 0, 0, 0)
        return self._write(staging, existing, deletes=deletes)

    def _write(self, staging: Staging, target: Existing, *, deletes: bool) -> Differences:
        marked = _has_mark(target)
        mark = DELETED_AT if marked else None
        updated = merging.update_differing(self._db, staging, target, mark=mark)
        inserted = merging.insert_missing(self._db, staging, target)
        if self._order.delete == "mark" and not marked:
            # Last, for readers wait from here until the commit, this once.
            self._add_mark()
            marked = True
        gone = 0
        if deletes:
            statement = _TAKE_OUT[self._order.delete]
            gone = self._db.count(statement.format(**self._names(staging, marked=marked)))
        unchanged = staging.rows() - inserted - updated
        staging.drop()
        return Differences(inserted, updated, unchanged, gone)

    def _names(self, staging: Staging, *, marked: bool) -> dict[str, str]:
        return {
            "target": self._name.sql,
            "staging": staging.sql,
            "live": f"held.{DELETED_AT} IS NULL" if marked else "true",
            "at": self._at,
        }

    def _add_mark(self) -> None:
        for statement in _ADD_MARK:
            self._db.execute(statement.format(target=self._name.sql))


def admit(db: Database, name: TableName, order: SyncOrder) -> None:
    """Refuse a table that ``order`` could not be published to in the end. Raises ConfigError."""
    if order.history:
        history.admit(db, history.history_of(name))
    oid = catalog.find_oid(db, name)
    if oid is None:
        return
    existing = catalog.existing_table(db, name, oid)
    _require_markable(existing, order)
    if order.delete == "mark" and not _has_mark(existing):
        catalog.require_owner(db, name, oid, f"the column {DELETED_AT}")
    elif order.delete == "hard":
        catalog.require_rights(db, name, oid, "replace")


def _require_markable(target: Existing, order: SyncOrder) -> None:
    kind = target.types.get(DELETED_AT)
    if order.delete == "mark" and kind is not None and kind not in _MARKS:
        raise ConfigError(
            f"table {target.name} has a column {DELETED_AT} that is {kind}; rename it, or keep"
            " who is gone with --delete ignore"
        )


def _has_mark(target: Existing) -> bool:
    return target.types.get(DELETED_AT) in _MARKS
