"""What the database remembers of tables that are kept in step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from psycopg import errors

from mixpanel_fetch.sync import SyncState
from mixpanel_fetch_postgres import catalog
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import METADATA_SCHEMA, TableName

_CREATE = """CREATE TABLE mixpanel_fetch.sync (
    schema_name text, table_name text, sync_key text NOT NULL,
    last_seen timestamp with time zone, full_at timestamp with time zone,
    history boolean NOT NULL, PRIMARY KEY (schema_name, table_name))"""
_FIND = """SELECT sync_key, last_seen, full_at, history FROM mixpanel_fetch.sync
    WHERE schema_name = %s AND table_name = %s"""
_FORGET = "DELETE FROM mixpanel_fetch.sync WHERE schema_name = %s AND table_name = %s"


@dataclass(frozen=True)
class SyncLedger:
    """One row a table, in our own schema; written in the transaction that publishes."""

    db: Database

    def exists(self) -> bool:
        """Whether this database has the table."""
        return catalog.find_oid(self.db, TableName(METADATA_SCHEMA, "sync")) is not None

    def create(self) -> None:
        """Make the table where it is missing. Belongs where ``Ledger.alone`` was asked for."""
        # Not IF NOT EXISTS: that asks for the right to make one even where there is one.
        if not self.exists():
            self.db.execute(_CREATE)

    def find(self, name: TableName) -> SyncState | None:
        """Return what is remembered of a table, None where there is nothing, or no table."""
        if catalog.find_oid(self.db, name) is None or not self.exists():
            return None  # dropped by hand: what was remembered is of another one
        try:
            rows = self.db.execute(_FIND, [name.schema, name.table])
        except errors.UndefinedTable:  # another run has just taken it back
            return None
        for key, cursor, full_at, history in rows:
            return SyncState(key, _utc(cursor), _utc(full_at), history)
        return None

    def keep(self, name: TableName, state: SyncState) -> None:
        """Remember ``state`` in the place of what was remembered of the table."""
        self.forget(name)
        self.db.execute(
            "INSERT INTO mixpanel_fetch.sync VALUES (%s, %s, %s, %s, %s, %s)",
            [name.schema, name.table, state.key, state.cursor, state.full_at, state.history],
        )

    def forget(self, name: TableName) -> None:
        """Remember nothing of a table any more: it is another one now."""
        if self.exists():
            self.db.execute(_FORGET, [name.schema, name.table])


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(timezone.utc)
