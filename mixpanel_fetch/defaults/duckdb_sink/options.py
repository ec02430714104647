"""What a user may set, and where the file is."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from marshmallow import Schema, ValidationError, fields, validate

from mixpanel_fetch.errors import ConfigError

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B)", re.IGNORECASE | re.ASCII)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
SMALLEST_MEMORY = "100MB"


def bytes_of(size: str) -> int:
    """Return the bytes in a size such as ``300MB`` or ``1.5 GiB``. Else ValidationError."""
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValidationError(f"not a size: {size!r}; write it like 300MB or 1GiB")
    number, unit = match.groups()
    base = 1024 if "i" in unit.lower() else 1000
    return int(float(number) * base ** _POWERS[unit[0].lower()])


def _memory(size: str) -> None:
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
    """The options of ``duckdb://``; what each is for stands at DuckDBEngine."""

    memory_limit = fields.String(validate=_memory)
    checkpoint_threshold = fields.String(validate=bytes_of)
    threads = fields.Integer(validate=validate.Range(min=1))


def one_line(error: ValidationError) -> str:
    """Return what is wrong as one line: ``option: what``."""
    messages = error.messages_dict
    return "; ".join(f"{option}: {' '.join(texts)}" for option, texts in messages.items())
