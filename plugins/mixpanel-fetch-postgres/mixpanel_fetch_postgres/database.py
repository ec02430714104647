"""One open connection: how it is made, what is set on it, and how it is left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors

from mixpanel_fetch.errors import ConfigError, FetchInterruptedError
from mixpanel_fetch_postgres import failures
from mixpanel_fetch_postgres.names import TableName
from mixpanel_fetch_postgres.options import Target

LOCK_WAIT = 2.0
"""Seconds to wait for another run of the same table to let go of it."""

_CANCEL_WAIT = 3.0

# As far as the server has them. Times are read back in UTC; a lock on a table is not waited for
# without end; a publish must see what was committed before its lock, also where another isolation
# is the default; and a server whose client was killed lets go of the table's lock within a second.
_SETTINGS = """SELECT set_config(known.name, wanted.value, false) FROM (VALUES
    ('TimeZone', 'UTC'), ('DateStyle', 'ISO'), ('lock_timeout', '10s'),
    ('default_transaction_isolation', 'read committed'), ('idle_session_timeout', '0'),
    ('client_connection_check_interval', '1s')) AS wanted (name, value)
    JOIN pg_catalog.pg_settings AS known ON lower(known.name) = lower(wanted.name)"""
# A page is durable once it is written, whatever the default for others is.
_DURABLE = """SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'"""
_HOLDER = """SELECT pid FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND classid::bigint = %s AND objid::bigint = %s"""


class Database:
    """A connection for one run, in autocommit mode."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection
        self._cursor: psycopg.ServerCursor[tuple[Any, ...]] | None = None
        self._stopping = False
        self.execute(_SETTINGS)
        self.execute(_DURABLE)

    def execute(
        self, statement: str, parameters: Sequence[Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows, if it has any.

        With ``parameters`` a percent sign in the statement must be doubled.
        """
        with self._interruptible():
            cursor = self.connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description is not None else []

    def count(self, statement: str) -> int:
        """Run one statement and return how many rows it was about."""
        with self._interruptible():
            return self.connection.execute(statement.encode()).rowcount

    def value(self, statement: str, parameters: Sequence[Any] | None = None) -> Any:
        """Run one statement and return the first value of its first row."""
        return self.execute(statement, parameters)[0][0]

    def copy(self, statement: str, pieces: Iterable[bytes]) -> None:
        """Send ``pieces`` as the data of a COPY; the next one is made while the server reads."""
        with (
            self._interruptible(),
            self.connection.cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            for piece in pieces:
                copy.write(piece)

    def server_cursor(self) -> psycopg.ServerCursor[tuple[Any, ...]]:
        """Return a cursor that takes one statement that reads, and keeps its rows at the server.

        It needs a transaction, and ends with the connection. There is one of them.
        """
        self._cursor = self.connection.cursor(name="mixpanel_fetch")
        return self._cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep everything that happens inside, or nothing."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._undo("ROLLBACK")
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Within a transaction: keep everything that happens inside, or nothing of it."""
        self.execute("SAVEPOINT mixpanel_fetch")
        try:
            yield
            self.execute("RELEASE SAVEPOINT mixpanel_fetch")
        except BaseException:
            self._undo("ROLLBACK TO SAVEPOINT mixpanel_fetch")
            raise

    def hold(self, name: TableName, wait: float | None = None) -> None:
        """Keep other runs away from a table until this connection closes.

        Waits up to ``LOCK_WAIT`` seconds. Raises ConfigError where another run has the table.
        """
        deadline = time.monotonic() + (LOCK_WAIT if wait is None else wait)
        while not self.value("SELECT pg_catalog.pg_try_advisory_lock(%s)", [name.lock]):
            if time.monotonic() >= deadline:
                raise ConfigError(
                    f"another run is writing to table {name}{self._holder(name)};"
                    " let it finish or end it"
                )
            time.sleep(0.05)

    def resumes(self) -> None:
        """Note that a call begins: an interrupt before it was not about it."""
        self._stopping = False

    def interrupt(self) -> None:
        """End the running call soon. May be called from any thread."""
        self._stopping = True
        with suppress(psycopg.Error):
            if hasattr(self.connection, "cancel_safe"):
                self.connection.cancel_safe(timeout=_CANCEL_WAIT)
            else:  # psycopg 3.1
                self.connection.cancel()

    def close(self) -> None:
        """Let go of the connection, and with it of every lock."""
        self.connection.close()
        if self._cursor is not None:
            self._cursor.close()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self._stopping:
            raise FetchInterruptedError("interrupted")
        try:
            yield
        except errors.QueryCanceled:
            if self._stopping:
                raise FetchInterruptedError("interrupted") from None
            raise

    def _undo(self, statement: str) -> None:
        # On a lost connection there is no transaction left; the first error is the one to tell.
        with suppress(psycopg.Error):
            self.connection.execute(statement.encode())

    def _holder(self, name: TableName) -> str:
        key = name.lock % 2**64
        pids = self.execute(_HOLDER, [key >> 32, key % 2**32])
        return f" (server process {pids[0][0]})" if pids else ""


def connected(target: Target, *, to_write: bool = True) -> Database:
    """Open a connection. Raises ConfigError where that cannot be.

    Unless it is ``to_write``, a replica or a database in another encoding will do.
    """
    with failures.translated(
        f"cannot connect to {target.label}", opening=True, secrets=target.secrets
    ):
        connection = psycopg.connect(
            target.conninfo.reveal(), autocommit=True, prepare_threshold=None
        )
        try:
            database = Database(connection)
            if to_write:
                _require_usable(database, target)
        except BaseException:
            connection.close()
            raise
        return database


def _require_usable(database: Database, target: Target) -> None:
    encoding, read_only = database.execute(
        "SELECT current_setting('server_encoding'), current_setting('transaction_read_only')"
    )[0]
    if encoding != "UTF8":
        raise ConfigError(
            f"{target.label} is encoded in {encoding}, which cannot hold every profile;"
            " use a database made with ENCODING 'UTF8'"
        )
    if read_only == "on":
        raise ConfigError(
            f"{target.label} is read-only; connect to the primary server,"
            " or add target_session_attrs=read-write"
        )
