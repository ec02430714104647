"""What a user may set, and where the file is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote

from marshmallow import Schema, ValidationError, fields, validate

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.sizes import bytes_of

Index = Literal["auto", "none", "primary"]
"""Whether ``distinct_id`` is the primary key of a table that is made; ``auto``: if it is cheap."""

SMALLEST_MEMORY = "100MB"
MEMORY = "200MB"
CHECKPOINT = "128MB"
_THREADS = 4


def _size(size: str) -> None:
    try:
        bytes_of(size)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _memory(size: str) -> None:
    _size(size)
    # Below this, DuckDB cannot compress a row group of usual profiles.
    if bytes_of(size) < bytes_of(SMALLEST_MEMORY):
        raise ValidationError(f"must be at least {SMALLEST_MEMORY}, not {size}")


def path_of(location: str) -> Path:
    """Return the path that a location names, percent-decoded, ``~`` expanded.

    Raises ConfigError for no path, and for ``:memory:``, of which nothing would remain.
    """
    text = unquote(location)
    if not text:
        raise ConfigError("duckdb:/// needs a file, for example duckdb:///mixpanel.duckdb")
    if text == ":memory:":
        raise ConfigError(
            "a database in memory would be gone with the fetch; name a file,"
            " or hand in a connection: DuckDBEngine(connection=...)"
        )
    if "\0" in text:
        raise ConfigError("the path of a DuckDB file cannot contain a NUL character")
    return Path(text).expanduser()


class DuckDBOptions(Schema):
    """The options of ``duckdb://``.

    ``memory_limit``: what DuckDB may take for rows (default 200MB). ``checkpoint_threshold``: how
    much is written ahead before it is compressed into the file (default 128MB). ``threads``:
    DuckDB's (default one a core, at most 4). ``index``: ``primary`` makes ``distinct_id`` the
    primary key of a table that is made, ``none`` does not; by default, ``auto``, tables of at most
    100,000 rows have one, and those that are kept in step.
    """

    memory_limit = fields.String(validate=_memory)
    checkpoint_threshold = fields.String(validate=_size)
    threads = fields.Integer(validate=validate.Range(min=1))
    index = fields.String(validate=validate.OneOf(get_args(Index)))


def settings_of(
    memory_limit: str | None, checkpoint_threshold: str, threads: int | None, *, own: bool
) -> dict[str, str]:
    """Return what to set on a database, as DuckDB takes it; of the host's, nothing by default.

    Raises ConfigError for values that these cannot have.
    """
    options = {
        "memory_limit": memory_limit or (MEMORY if own else None),
        "checkpoint_threshold": checkpoint_threshold,
        "threads": threads or (min(_THREADS, os.cpu_count() or 1) if own else None),
    }
    settings = {name: str(value) for name, value in options.items() if value is not None}
    _check(settings)
    return settings


def index_of(index: str) -> Index:
    """Return the option ``index``. Raises ConfigError for what it cannot be."""
    _check({"index": index})
    return cast("Index", index)


def _check(options: dict[str, str]) -> None:
    try:
        DuckDBOptions().load(options)
    except ValidationError as error:
        raise ConfigError(f"the duckdb sink: {_one_line(error)}") from None


def _one_line(error: ValidationError) -> str:
    """Return what is wrong as one line: ``option: what``."""
    messages = error.messages_dict
    return "; ".join(f"{option}: {' '.join(texts)}" for option, texts in messages.items())
