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
_LASTING = re.compile("Out of Memory|No space left|Could not set lock")
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


@contextmanager
def of_a_query() -> Iterator[None]:
    """Turn what DuckDB raises inside into an error of ours that says what is wrong with a query.

    DuckDB's own words, with its hints, in one line: the query and the rows are the user's.
    """
    try:
        yield
    except duckdb.Error as error:
        if _is_of_the_query(error):
            raise ConfigError(_answer_line(error)) from error
        raise explained(error, "cannot answer the query") from error


def _is_of_the_query(error: duckdb.Error) -> bool:
    lasting = (duckdb.InterruptException, duckdb.FatalException, duckdb.InternalException)
    return not isinstance(error, lasting) and not _LASTING.search(str(error))


def _answer_line(error: duckdb.Error) -> str:
    text = str(error).strip() or type(error).__name__
    if "'pytz'" in text:
        return (
            "DuckDB 1 needs pytz to hand out TIMESTAMP WITH TIME ZONE; `pip install pytz`,"
            " or cast it: CAST(... AS TIMESTAMP)"
        )
    # DuckDB 1 says of an error among the rows that it came among the rows.
    text = text.rpartition("\nError: ")[2]
    # The statement is shown below the words, with a caret; the hints stand between.
    lines = re.split(r"\n\s*LINE \d+:|\n\s*Possible solutions|\nStack Trace", text)[0].split("\n")
    words = [_KIND.sub("", line).strip() for line in lines]
    line = "; ".join(word.rstrip("!.:") for word in words if word)
    return line if len(line) <= 300 else f"{line[:297]}..."


def explained(error: duckdb.Error, doing: str, *, opening: bool = False) -> MixpanelFetchError:
    """Return the error of ours for one of DuckDB's."""
    if isinstance(error, duckdb.InterruptException):
        return FetchInterruptedError(f"interrupted: {doing}")
    if is_locked(error):
        holder = _HOLDER.search(str(error))
        who = f"another process (pid {holder[1]})" if holder else "another process"
        return ConfigError(f"{doing}: the file is open in {who}; let it finish or close it")
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in str(error):
        return StorageError(f"{doing}: DuckDB ran out of memory; give it a larger memory_limit")
    if "No space left" in str(error):
        return StorageError(f"{doing}: no space left on the disk; free some, then run it again")
    kind = ConfigError if opening else StorageError
    return kind(f"{doing}: {_first_line(error)}")


def _first_line(error: duckdb.Error) -> str:
    text = str(error).strip() or type(error).__name__
    # "Input: ..." and what follows a key repeat the user's data.
    line = re.split(r"\n|\s+Input: |\. See also ", text)[0]
    line = _KIND.sub("", line).strip()
    return line if len(line) <= 300 else f"{line[:297]}..."
