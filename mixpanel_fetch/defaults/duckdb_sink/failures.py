"""DuckDB's exceptions as ours: one line each, and nothing of a statement or a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from mixpanel_fetch.errors import (
    ConfigError,
    FetchInterruptedError,
    MixpanelFetchError,
    StorageError,
)

_LOCKED = re.compile(r"Could not set lock on file|used by another process")
_HOLDER = re.compile(r"\(PID (\d+)\)")
_KIND = re.compile(r"^[\w ]+ Error: ")


def is_locked(error: duckdb.Error) -> bool:
    """Whether another process holds the file."""
    return _LOCKED.search(str(error)) is not None


@contextmanager
def translated(doing: str, *, opening: bool = False) -> Iterator[None]:
    """Turn what DuckDB raises inside into an error of ours that says what was being done.

    ``opening``: nothing was stored yet, the destination itself cannot be used (ConfigError).
    """
    try:
        yield
    except duckdb.Error as error:
        raise explained(error, doing, opening=opening) from error


def explained(error: duckdb.Error, doing: str, *, opening: bool = False) -> MixpanelFetchError:
    """Return the error of ours for one of DuckDB's."""
    if isinstance(error, duckdb.InterruptException):
        return FetchInterruptedError(f"interrupted while {doing}")
    if is_locked(error):
        holder = _HOLDER.search(str(error))
        who = f"another process (pid {holder[1]})" if holder else "another process"
        return ConfigError(f"{doing}: the file is open in {who}; let it finish or close it")
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in str(error):
        return StorageError(f"{doing}: DuckDB ran out of memory; give it a larger memory_limit")
    if "No space left" in str(error):
        return StorageError(f"{doing}: no space left on the disk")
    kind = ConfigError if opening else StorageError
    return kind(f"{doing}: {_first_line(error)}")


def _first_line(error: duckdb.Error) -> str:
    text = str(error).strip() or type(error).__name__
    # "Input: ..." and what follows a key repeat the user's data.
    line = re.split(r"\n|\s+Input: |\. See also ", text)[0]
    line = _KIND.sub("", line).strip()
    return line if len(line) <= 300 else f"{line[:297]}..."
