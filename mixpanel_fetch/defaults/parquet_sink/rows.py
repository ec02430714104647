"""Rows on their way into and out of a Parquet file."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from glob import escape
from pathlib import Path

import msgspec

from mixpanel_fetch.batch import Batch

PAGE = 1 << 32
"""How far apart the places of two pages begin, so that they cannot meet."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


def as_text(page_index: int, batch: Batch) -> str:
    """Return the rows as one JSON array; their properties are strings in it, and stay exact."""
    columns = zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)
    rows = [
        {
            "place": place,
            "id": distinct_id,
            "properties": properties.decode(),
            # A number: DuckDB reads a datetime by its session's time zone.
            "micros": None if last_seen is None else (last_seen - _EPOCH) // _MICROSECOND,
        }
        for place, (distinct_id, properties, last_seen) in enumerate(columns, page_index * PAGE)
    ]
    return _encode(rows).decode()


def rows_in(path: Path) -> int:
    """Return how many rows a file has; 1 for one that is not Parquet: not known to be empty."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            found = connection.execute("SELECT count(*) FROM read_parquet($1)", [escape(str(path))])
            row = found.fetchone()
    except duckdb.Error:
        return 1
    return 1 if row is None else int(row[0])
