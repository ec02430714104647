"""Which interrupted run can go on, and how one is dropped."""

from __future__ import annotations

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import RunInfo
from mixpanel_fetch_postgres import catalog
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.ledger import INTERRUPTED, Ledger, RunEntry
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.staging import drop_staging


def goes_on(db: Database, entry: RunEntry, name: TableName, run: RunInfo) -> bool:
    """Whether ``run`` goes on with what ``entry`` left. Raises ConfigError for another table."""
    if entry.name != name:
        raise ConfigError(f"run {run.run_id} is about table {entry.info.table}, not {run.table}")
    # Pages of two sessions cut the same profiles in different places: they cannot be mixed.
    return entry.info.session_id == run.session_id and can_go_on(db, entry)


def can_go_on(db: Database, entry: RunEntry) -> bool:
    """Whether a run is interrupted, and what its ledger says is still there."""
    if entry.status not in INTERRUPTED:
        return False
    if entry.published and catalog.find_oid(db, entry.name) is None:
        return False
    if entry.status == "partial":
        return entry.published
    staging = entry.name.staging(entry.info.run_id)
    if catalog.find_oid(db, staging) is None:
        return False
    return bool(db.value(f"SELECT count(*) FROM {staging.sql}") == entry.staged_rows)


def drop_run(db: Database, entry: RunEntry) -> None:
    """Drop what a run has staged, and its ledger. Belongs in a transaction."""
    ledger = Ledger(db)
    drop_staging(db, entry.name.staging(entry.info.run_id))
    ledger.forget_pages(entry.info.run_id)
    ledger.mark(entry.info.run_id, "aborted")
