"""A fetch brought into a table that is kept in step with it: only what differs is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink import catalog
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.history import History, find_history, history_of
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, fold
from mixpanel_fetch.defaults.duckdb_sink.staging import Staging
from mixpanel_fetch.defaults.duckdb_sink.upsert import DELETED_AT, Upsert
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.sync import SyncOrder

PORTION = 100_000
"""Staged rows that one join holds in memory."""
LOOKUPS = 1_000
"""Staged rows up to which the table is asked for their ids by name: its key has those without a
look at the others. More are found sooner by a join, which reads every id."""

_DIFFERING = """CREATE OR REPLACE TEMP TABLE mixpanel_fetch_differing AS
    SELECT distinct_id, held.distinct_id IS NULL AS is_new
    FROM (SELECT * FROM {staging} WHERE page_index % $1 = $2) AS new
    LEFT JOIN {held} AS held USING (distinct_id)
    WHERE held.distinct_id IS NULL OR held.properties IS DISTINCT FROM new.properties
    OR held.last_seen IS DISTINCT FROM new.last_seen {or_marked}"""
_ROWS = "(SELECT * FROM {staging} SEMI JOIN mixpanel_fetch_differing USING (distinct_id))"
_GONE = "distinct_id NOT IN (SELECT distinct_id FROM {staging})"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_sorted = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Differences:
    """What bringing a table in step changed, in rows."""

    inserted: int
    updated: int
    unchanged: int
    gone: int


class InStep:
    """One staged fetch and the table that follows it. ``publish`` belongs in one transaction."""

    def __init__(
        self, db: Database, staging: Staging, name: TableName, order: SyncOrder, at: datetime
    ) -> None:
        self._db = db
        self._staging = staging
        self._name = name
        self._order = order
        self._at = at

    def count_gone(self) -> tuple[int, int]:
        """Return how many rows were not fetched any more, and how many there are.

        Rows marked as deleted are left out of both. The staged ids must be unique.
        """
        target = catalog.find_table(self._db, self._name)
        if target is None:
            return 0, 0
        live = self._live(target)
        gone = f"SELECT count(*) FROM {self._db.sql(target)} WHERE {live} AND {self._gone()}"
        rows = f"SELECT count(*) FROM {self._db.sql(target)} WHERE {live}"
        return int(self._db.value(gone)), int(self._db.value(rows))

    def publish(self, *, complete: bool) -> Differences:
        """Write what differs, take out what is gone, and leave no staging table.

        ``complete``: the staged rows are all there are, of a full fetch. The table is made where
        it is missing.
        """
        target = catalog.find_table(self._db, self._name)
        deletes = complete and self._order.delete != "ignore"
        if self._order.history and (target is None or self._order.kind == "full"):
            self._history.take_in(self._staging.sql, others_gone=deletes)
        if target is None:
            inserted = self._staging.become(self._name.table)
            self._make_markable(self._name)
            return Differences(inserted, 0, 0, 0)
        self._make_markable(target)
        inserted, updated = self._write_differing(target)
        gone = self._take_out(target) if deletes else 0
        unchanged = self._staging.count() - inserted - updated
        self._staging.drop()
        return Differences(inserted, updated, unchanged, gone)

    def _write_differing(self, target: TableName) -> tuple[int, int]:
        staged = self._staging.count()
        upsert = Upsert(self._db, target, unmark=self._is_markable(target))
        rows = _ROWS.format(staging=self._staging.sql)
        inserted = updated = 0
        portions = -(-staged // PORTION)
        for portion in range(portions):
            self._find_differing(target, staged, [portions, portion])
            # A user's own table may hold an id more than once.
            found = self._db.execute(
                "SELECT is_new, count(DISTINCT distinct_id) FROM mixpanel_fetch_differing"
                " GROUP BY is_new"
            )
            counts = dict(found)
            inserted, updated = inserted + counts.get(True, 0), updated + counts.get(False, 0)
            if found and self._order.history and self._order.kind == "incremental":
                # The versions are in step with the table, so only what differs from it is new.
                self._history.take_in(rows, others_gone=False)
            if found:
                upsert.write(rows, updates=updated)
        if portions:
            self._db.execute("DROP TABLE mixpanel_fetch_differing")
        return inserted, updated

    def _find_differing(self, target: TableName, staged: int, portion: list[int]) -> None:
        held, ids = self._db.sql(target), []
        if staged <= LOOKUPS:
            rows = self._db.execute(f"SELECT distinct_id FROM {self._staging.sql}")
            ids = [distinct_id for (distinct_id,) in rows]
            marks = ", ".join(f"${number}" for number in range(3, 3 + len(ids)))
            held = f"(SELECT * FROM {held} WHERE distinct_id IN ({marks}))"
        marked = self._is_markable(target)
        statement = _DIFFERING.format(
            staging=self._staging.sql,
            held=held,
            or_marked=f"OR held.{DELETED_AT} IS NOT NULL" if marked else "",
        )
        self._db.execute(statement, [*portion, *ids])

    @property
    def _history(self) -> History:
        return History(self._db, self._name, self._at)

    def _take_out(self, target: TableName) -> int:
        table, which = self._db.sql(target), f"{self._live(target)} AND {self._gone()}"
        gone = int(self._db.value(f"SELECT count(*) FROM {table} WHERE {which}"))
        if gone and self._order.delete == "hard":
            self._db.execute(f"DELETE FROM {table} WHERE {which}")
        elif gone:
            self._db.execute(f"UPDATE {table} SET {DELETED_AT} = $1 WHERE {which}", [self._at])
        return gone

    def _gone(self) -> str:
        return _GONE.format(staging=self._staging.sql)

    def _live(self, target: TableName) -> str:
        return f"{DELETED_AT} IS NULL" if self._is_markable(target) else "true"

    def _is_markable(self, target: TableName) -> bool:
        return _type_of_mark(self._db, target) == "TIMESTAMP"

    def _make_markable(self, target: TableName) -> None:
        if self._order.delete == "mark" and _mark_of(self._db, target) is None:
            self._db.execute(f"ALTER TABLE {self._db.sql(target)} ADD {DELETED_AT} TIMESTAMP")


def refuse_unfit(db: Database, name: TableName, order: SyncOrder) -> None:
    """Raise ConfigError where something of the user's has the name of a column or table of ours."""
    target = catalog.find_table(db, name)
    if target is not None and order.delete == "mark":
        _mark_of(db, target)
    if order.history:
        find_history(db, history_of(name))


def _mark_of(db: Database, target: TableName) -> str | None:
    """Return the type of the column that marks who is gone, None where it is still to be made."""
    kind = _type_of_mark(db, target)
    if kind not in {None, "TIMESTAMP"}:
        raise ConfigError(
            f"table {target} has a column {DELETED_AT} that is {kind}; rename it, or keep who"
            " is gone with --delete ignore"
        )
    return kind


def _type_of_mark(db: Database, target: TableName) -> str | None:
    columns = db.execute(
        f"SELECT column_name, data_type FROM duckdb_columns() {catalog.OF_TABLE}",
        catalog.which(db, target),
    )
    return next((kind for column, kind in columns if fold(column) == DELETED_AT), None)


def in_order(batch: Batch) -> Batch:
    """Return ``batch`` with each profile's properties by name: their order says nothing.

    Values keep their bytes.
    """
    return replace(batch, properties=[_in_order(each) for each in batch.properties])


def _in_order(properties: bytes) -> bytes:
    try:
        return _sorted(_members(properties))
    except (msgspec.DecodeError, UnicodeDecodeError):  # DuckDB may refuse it; that is told later
        return properties
