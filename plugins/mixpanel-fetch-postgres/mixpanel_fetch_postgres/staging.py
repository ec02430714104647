"""The staging table: where pages land, in any order, until they are published.

It is an ordinary logged table: an unlogged one is emptied when the server crashes, and a page has
to stay once it is written. It has no key while pages land: building the key at the end takes a
quarter of the time that keeping it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from psycopg import errors

from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.ledger import Ledger
from mixpanel_fetch_postgres.names import TableName, quoted
from mixpanel_fetch_postgres.rows import BEGINNING, END, Rows

# The page comes last, so that dropping its column leaves the others in place. No autovacuum: one
# at work when the table is published would hold the publish up for a second.
_CREATE = """CREATE TABLE {} (distinct_id text NOT NULL, properties jsonb,
    last_seen timestamp with time zone, page_index integer NOT NULL)
    WITH (autovacuum_enabled = false)"""
_COPY = "COPY {} (distinct_id, properties, last_seen, page_index) FROM STDIN (FORMAT binary)"
# Ids repeat rarely, so the rows are only looked at one by one where some do. A page has an id once.
_REPEATED = """SELECT EXISTS (
    SELECT FROM {} GROUP BY distinct_id HAVING count(*) > 1)"""
_DROP_REPEATED = """WITH placed AS (
        SELECT ctid AS place, row_number() OVER (
            PARTITION BY distinct_id ORDER BY page_index DESC) AS nth
        FROM {staging} WHERE distinct_id IN (
            SELECT distinct_id FROM {staging} GROUP BY distinct_id HAVING count(*) > 1)),
    gone AS (
        DELETE FROM {staging} USING placed
        WHERE {staging}.ctid = placed.place AND nth > 1 RETURNING page_index)
    SELECT page_index, count(*) FROM gone GROUP BY page_index"""


class Staging:
    """One run's staging table."""

    def __init__(self, db: Database, run_id: str, name: TableName) -> None:
        self._db = db
        self._run_id = run_id
        self._unique = False
        self.name = name.staging(run_id)
        self.sql = self.name.sql

    def count(self) -> int:
        """Return the rows staged."""
        return int(self._db.value(f"SELECT count(*) FROM {self.sql}"))

    def rows(self) -> int:
        """Return the rows staged, as the ledger has them: no table is read for it."""
        return Ledger(self._db).staged_rows(self._run_id)

    def newest(self) -> datetime | None:
        """Return the largest ``last_seen`` staged, in UTC; None where no row has one."""
        moment: datetime | None = self._db.value(f"SELECT max(last_seen) FROM {self.sql}")
        return None if moment is None else moment.astimezone(timezone.utc)

    def land(self, pages: Sequence[Rows]) -> None:
        """Add the rows of pages. Raises psycopg.DataError for a value that the server refuses."""
        self._unique = False
        if any(map(len, pages)):
            self._db.copy(_COPY.format(self.sql), _pieces(pages))

    def drop_repeated(self) -> None:
        """Keep one row an id, that of the later page; the ledger says what each page gave up.

        Belongs in a transaction.
        """
        if not self._unique and self._db.value(_REPEATED.format(self.sql)):
            for page, rows in self._db.execute(_DROP_REPEATED.format(staging=self.sql)):
                Ledger(self._db).give_up(self._run_id, page, rows)
        self._unique = True

    def forget(self) -> None:
        """Note that the transaction which dropped what repeats was undone, maybe."""
        self._unique = False

    def become(self, target: TableName) -> None:
        """Turn into ``target``, without a copy. Belongs in a transaction."""
        try:
            # Trying is the cheapest way to find out whether any id repeats.
            with self._db.savepoint():
                self._become(target)
        except errors.UniqueViolation:
            self._unique = False
            self.drop_repeated()
            self._become(target)

    def drop(self) -> None:
        """Take the table away, if it is there."""
        drop_staging(self._db, self.name)

    def _become(self, target: TableName) -> None:
        # Renamed before it gets the key, which is named after the table then.
        self._db.execute(
            f"ALTER TABLE {self.sql} DROP COLUMN page_index, RESET (autovacuum_enabled)"
        )
        self._db.execute(f"ALTER TABLE {self.sql} RENAME TO {quoted(target.table)}")
        self._db.execute(f"ALTER TABLE {target.sql} ADD PRIMARY KEY (distinct_id)")


def create_staging(db: Database, run_id: str, name: TableName) -> None:
    """Make the staging table of a run, anew if it is there. Belongs in a transaction."""
    staging = name.staging(run_id)
    drop_staging(db, staging)
    db.execute(_CREATE.format(staging.sql))


def drop_staging(db: Database, staging: TableName) -> None:
    """Take a staging table away, if it is there."""
    db.execute(f"DROP TABLE IF EXISTS {staging.sql}")


def _pieces(pages: Sequence[Rows]) -> Iterator[bytes]:
    yield BEGINNING
    for page in pages:
        yield page.encoded()
    yield END
