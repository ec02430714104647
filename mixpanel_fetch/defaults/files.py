"""What file sinks share: one file is one table, written beside its target and renamed whole."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from mixpanel_fetch.errors import ConfigError, StorageError, TableExistsError
from mixpanel_fetch.hookspecs import BaseEngine, require_mode
from mixpanel_fetch.model import Mode
from mixpanel_fetch.protocols import TableLoad

TABLE = "{table}"
"""Stands for the table's name in a location."""
_WITHIN = re.compile(r'"exception_message":"[^\n]*: ([^":\n]+)"')
"""Where the reason stands in what DuckDB says of a write that it did in the background."""


class FileEngine(BaseEngine):
    """An engine whose table is one file, which is created or replaced but never changed.

    ``location`` is a path, percent-encoded. ``{table}`` in it stands for the table's name; without
    it the location alone names the file, and the table's name is only a label.
    """

    sink = "file"
    """The name in messages: that of the subclass's SinkSpec."""
    load: TableLoad | None = None
    """What ``begin`` of the subclass returned last."""

    def __init__(self, location: str) -> None:
        self.location = location

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can; ``concurrent`` where each table has a file of its own."""
        return capabilities_of(self.location, {"replace"})

    def path(self, table: str) -> Path:
        """Return the absolute path of ``table``'s file; see :func:`file_of`."""
        return file_of(self.sink, self.location, table)

    def check(self, table: str, mode: Mode) -> None:
        """Raise what would keep ``table`` from being written: ConfigError, TableExistsError."""
        require_mode(self.sink, mode, self.capabilities)
        check_file(self.path(table), mode)

    def close(self) -> None:
        """Abort the load that ``begin`` returned, which does nothing to a committed one."""
        load, self.load = self.load, None
        if load is not None:
            load.abort()


def capabilities_of(location: str, modes: Iterable[str]) -> frozenset[str]:
    """Return ``modes``, and ``concurrent`` where ``location`` tells tables apart."""
    apart = TABLE in unquote(location)
    return frozenset(modes) | (frozenset({"concurrent"}) if apart else frozenset())


def named(sink: str, location: str, table: str) -> str:
    """Return ``location``, percent-decoded, with the table's name in the place of ``{table}``.

    Raises ConfigError for a location or a table's name that names no file.
    """
    text = unquote(location)
    if not text or "\0" in text:
        raise ConfigError(f"{sink}:// needs a file, as in {sink}://profiles")
    if TABLE in text:
        if table in {"", ".", ".."} or any(character in table for character in "/\\\0"):
            raise ConfigError(f"table {table!r} cannot be part of a file name")
        text = text.replace(TABLE, table)
    return text


def file_of(sink: str, location: str, table: str) -> Path:
    """Return the absolute path of ``table``'s file; of a symbolic link, what it points to.

    Raises ConfigError for a location or a table's name that names no file.
    """
    text = named(sink, location, table)
    try:
        return Path(text).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, before 3.13
        raise ConfigError(f"{text} names no file: {_reason(error)}") from None


def check_file(path: Path, mode: Mode) -> None:
    """Raise what would keep ``path`` from being written: ConfigError, TableExistsError."""
    try:
        there = _regular_file(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {_reason(error)}") from None
    if there and mode == "create":
        raise exists_already(path)
    check_folder(path.parent, path)


def check_folder(folder: Path, path: Path) -> None:
    """Raise ConfigError unless something can be made in ``folder``, for ``path``."""
    if not folder.is_dir():
        raise ConfigError(f"cannot write {path}: there is no directory {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {path}: no permission in {folder}")


def beside(target: Path, run_id: str) -> Path:
    """Return the hidden path next to ``target`` where run ``run_id`` does its work.

    In the same directory, so that one rename can put the result in place.
    """
    return target.with_name(f".{target.name}.{run_id}.partial")


def publish(finished: Path, target: Path, mode: Mode) -> None:
    """Give ``finished`` the place of ``target`` in one rename that survives a power cut.

    A replaced file hands on its permissions. Raises TableExistsError when the mode is ``create``
    and somebody has made ``target`` meanwhile; OSError.
    """
    if _regular_file(target):
        if mode == "create":
            raise exists_already(target)
        finished.chmod(stat.S_IMODE(target.stat().st_mode))
    _sync(finished)
    finished.replace(target)
    # The file is in place, whole; not every file system lets a directory be synced.
    with suppress(OSError):
        _sync(target.parent)


def exists_already(what: object) -> TableExistsError:
    """Return the one line that says what is there, and how it is replaced."""
    return TableExistsError(f"{what} exists already; --replace puts the new rows in its place")


def cannot_write(path: object, error: Exception) -> StorageError:
    """Return the one line that says which file could not be written, and why."""
    return StorageError(f"cannot write {path}: {_reason(error)}")


def _regular_file(path: Path) -> bool:
    """Return whether a file is at ``path``; raises ConfigError if what is there is none."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(kind):
        what = "a directory" if stat.S_ISDIR(kind) else "not a regular file"
        raise ConfigError(f"cannot write {path}: it is {what}")
    return True


def _reason(error: Exception) -> str:
    reason = str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    within = _WITHIN.search(reason)
    if within is not None:
        reason = within[1]
    if "No space left" in reason:
        return "No space left on device; free some, then run it again"
    return reason.splitlines()[0]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
