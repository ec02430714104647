"""One open connection: how it is opened, what is set on it, and how it is left."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from mixpanel_fetch.defaults.duckdb_sink import failures
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, quoted
from mixpanel_fetch.errors import ConfigError

_VERSION = re.compile(r"v(\d+)\.(\d+)")

LOCK_WAIT = 2.0
"""Seconds to wait for another process to let go of the file."""

READING = {"python_enable_replacements": "false", "TimeZone": "UTC"}
"""Set where a user's query runs, for that connection alone: a name in it is never one of our
variables, and days are those of UTC."""


class Database:
    """A connection for one run, and the settings that are put back when it closes.

    ``path`` None: the connection is a cursor of the host's, whose database stays open.
    ``created``: this connection made the file.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        settings: Mapping[str, str],
        path: Path | None = None,
        *,
        created: bool = False,
    ) -> None:
        self.connection = connection
        self.path = path
        self.created = created
        self._before: dict[str, str] = {}
        self.catalog = str(self.value("SELECT current_database()"))
        try:
            for name, value in settings.items():
                self._set(name, value)
        except BaseException:
            self.close()
            raise

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        return self.connection.execute(statement, parameters).fetchall()

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement and return the first value of its first row."""
        return self.execute(statement, parameters)[0][0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep everything that happens inside, or nothing."""
        self.connection.execute("BEGIN TRANSACTION")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # After a fatal error there is no transaction left; the first error is the one to tell.
            with suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")
            raise

    def sql(self, name: TableName) -> str:
        """Return a table's name with its catalog.

        Without it ``sales.users`` is ambiguous in ``sales.db``: a catalog is named after its file.
        """
        return quoted(self.catalog, name.schema, name.table)

    def has_zstd(self) -> bool:
        """Whether the file's format knows ZSTD: since storage version 1.2, else it means nothing.

        DuckDB 1 writes older files than it could, and then stores such a column uncompressed.
        """
        tags = self.value(
            "SELECT tags FROM duckdb_databases() WHERE database_name = $1", [self.catalog]
        )
        version = _VERSION.match((tags or {}).get("storage_version", ""))
        return version is not None and (int(version[1]), int(version[2])) >= (1, 2)

    def interrupt(self) -> None:
        """End a running statement. May be called from any thread."""
        with suppress(duckdb.Error):
            self.connection.interrupt()

    def close(self) -> None:
        """Put the settings back and let go of the connection."""
        for name, value in self._before.items():
            with suppress(duckdb.Error):
                self._put_back(name, value)
        self._before = {}
        self.connection.close()

    def _current(self, name: str) -> str:
        return str(self.value(f"SELECT current_setting('{name}')"))

    def _set(self, name: str, value: str) -> None:
        before = self._current(name)
        self.execute(f"SET {name} = '{value}'")
        self._before[name] = before

    def _put_back(self, name: str, value: str) -> None:
        self.execute(f"SET {name} = '{value}'")
        if self._current(name) == value:
            return
        # DuckDB shows a size cut to one decimal, and cuts again when it reads that: aim between.
        number, _, unit = value.partition(" ")
        self.execute(f"SET {name} = '{float(number) + 0.05:.2f} {unit}'")


def open_file(path: Path, settings: Mapping[str, str]) -> Database:
    """Open or create the database at ``path``. Raises ConfigError where that cannot be.

    The path goes in as an absolute one: DuckDB would take ``md:x`` for a service and load an
    extension. Waits up to ``LOCK_WAIT`` seconds for another process.
    """
    created = not path.exists()
    with failures.translated(f"cannot open {path}", opening=True):
        return Database(_connect(path.absolute()), settings, path, created=created)


def open_to_read(path: Path, settings: Mapping[str, str]) -> Database:
    """Open the database at ``path`` so that nothing can change it. Raises ConfigError.

    Waits as ``open_file`` does. Where this process has the file open for writing, DuckDB lets
    nobody open it otherwise: then that database is shared, and is left as it is set.
    """
    readable(path)
    with failures.translated(f"cannot read {path}", opening=True):
        # Two processes that spill into one directory would write over each other's files.
        spill = Path(tempfile.gettempdir()) / f"mixpanel-fetch-{uuid4().hex}"
        own = {**settings, "temp_directory": str(spill), "autoinstall_known_extensions": "false"}
        try:
            connection = _connect(path.absolute(), read_only=True)
        except duckdb.ConnectionException:
            connection, own = _connect(path.absolute()), {}
        return Database(connection, {**own, **READING}, path)


def readable(path: Path) -> None:
    """Raise ConfigError unless ``path`` is a file that can be read."""
    try:
        if path.is_dir():
            raise ConfigError(f"cannot read {path}: it is a directory")
        if not path.exists():
            raise ConfigError(
                f"there is no file {path}; `mp fetch profiles` makes it, --to names another"
            )
        if not os.access(path, os.R_OK):
            raise ConfigError(f"cannot read {path}: no permission")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def usable(path: Path) -> bool:
    """Return whether the file is there. Raises ConfigError if it could not be used or made."""
    if "?" in str(path.absolute()):
        # DuckDB would put its write-ahead log at another place than it looks for it.
        raise ConfigError(f"cannot use {path}: DuckDB takes no question mark in a path")
    try:
        if path.is_dir():
            raise ConfigError(f"cannot open {path}: it is a directory")
        if path.exists():
            if not os.access(path, os.R_OK | os.W_OK):
                raise ConfigError(f"cannot open {path}: no permission to read and write it")
            return True
        if path.is_symlink():
            raise ConfigError(f"cannot open {path}: it is a link to nothing")
        parent = path.absolute().parent
        if not parent.is_dir():
            raise ConfigError(f"cannot create {path}: there is no directory {parent}")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot create {path}: no permission to write to {parent}")
    except OSError as error:
        raise ConfigError(f"cannot open {path}: {error.strerror}") from error
    return False


def open_host(connection: duckdb.DuckDBPyConnection, settings: Mapping[str, str]) -> Database:
    """Open a cursor of the host's connection, for the calling thread."""
    with failures.translated("cannot use the connection handed in", opening=True):
        return Database(connection.cursor(), settings)


def _connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.IOException as error:
            if not failures.is_locked(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def remove_file(path: Path) -> None:
    """Remove a database file and what DuckDB keeps beside it."""
    for name in (path, path.with_name(f"{path.name}.wal")):
        name.unlink(missing_ok=True)
