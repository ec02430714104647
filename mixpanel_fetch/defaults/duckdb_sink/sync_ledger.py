"""What the database remembers of tables that are kept in step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

from mixpanel_fetch.defaults.duckdb_sink import catalog
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.history import find_history, history_of
from mixpanel_fetch.defaults.duckdb_sink.names import METADATA_SCHEMA, TableName, quoted
from mixpanel_fetch.sync import SyncState

_CREATE = """
CREATE TABLE IF NOT EXISTS {} (
    schema_name VARCHAR, table_name VARCHAR, sync_key VARCHAR, last_seen TIMESTAMP,
    full_at TIMESTAMP, history BOOLEAN
)"""


@dataclass(frozen=True)
class SyncLedger:
    """One row a table, in our own schema; written in the transaction that publishes."""

    db: Database

    @property
    def _table(self) -> str:
        return quoted(self.db.catalog, METADATA_SCHEMA, "sync")

    def find(self, name: TableName) -> SyncState | None:
        """Return what is remembered of a table, None where there is nothing, or no table."""
        if catalog.find_table(self.db, name) is None:
            return None  # dropped by hand: what was remembered is of another one
        for entry, state in self._entries():
            if entry.same(name):
                kept = state.history and find_history(self.db, history_of(name)) is not None
                return replace(state, history=kept)
        return None

    def keep(self, name: TableName, state: SyncState) -> None:
        """Remember ``state`` in the place of what was remembered of the table."""
        self.db.execute(_CREATE.format(self._table))
        self.forget(name)
        self.db.execute(
            f"INSERT INTO {self._table} VALUES ($1, $2, $3, $4, $5, $6)",
            [
                *(name.schema, name.table, state.key),
                *(naive(state.cursor), naive(state.full_at), state.history),
            ],
        )

    def forget(self, name: TableName) -> None:
        """Remember nothing of a table any more: it is another one now."""
        for entry, _ in self._entries():
            if entry.same(name):
                self.db.execute(
                    f"DELETE FROM {self._table} WHERE schema_name = $1 AND table_name = $2",
                    [entry.schema, entry.table],
                )

    def pass_by_history(self, name: TableName) -> None:
        """Remember that the table was written to and its versions were not."""
        state = self.find(name)
        if state is not None and state.history:
            self.keep(name, replace(state, history=False))

    def _entries(self) -> list[tuple[TableName, SyncState]]:
        found = self.db.value(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = $1"
            " AND schema_name = $2 AND table_name = 'sync'",
            [self.db.catalog, METADATA_SCHEMA],
        )
        if not found:
            return []
        rows = self.db.execute(
            "SELECT schema_name, table_name, sync_key, last_seen, full_at, history"
            f" FROM {self._table}"
        )
        return [
            (TableName(schema, table), SyncState(key, _aware(cursor), _aware(full_at), history))
            for schema, table, key, cursor, full_at, history in rows
        ]


def naive(instant: datetime | None) -> datetime | None:
    """Return an instant as TIMESTAMP holds it: in UTC, without saying so."""
    return None if instant is None else instant.astimezone(timezone.utc).replace(tzinfo=None)


def _aware(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=timezone.utc)
