"""DuckDB alone: pages that lie in memory go into a table, in one transaction, without a key.

Only the ingest is timed, with its checkpoint and close. Settings are DuckDB's own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks.children.download import Server
from mixpanel_fetch.decode import decode_page

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode

_RAW = """INSERT INTO profiles
    SELECT row."$distinct_id", json_remove(row."$properties", '$."$last_seen"'),
        CAST(row."$properties" ->> '$."$last_seen"' AS TIMESTAMP)
    FROM (SELECT unnest(from_json_strict(decode($1),
        '{"results":[{"$distinct_id":"VARCHAR","$properties":"JSON"}]}').results) AS row)"""
_LISTS = """INSERT INTO profiles
    SELECT unnest(piece.ids), unnest(piece.properties), make_timestamp(unnest(piece.instants))
    FROM (SELECT from_json_strict($1,
        '{"ids":["VARCHAR"],"properties":["VARCHAR"],"instants":["BIGINT"]}') AS piece)"""
# As the sink does it: parameters come out of a list, or DuckDB would come to all the rows while it
# plans; properties are joined by a character that JSON cannot hold.
_OWN = """INSERT INTO profiles
    SELECT unnest(piece.ids), unnest(string_split(properties, chr(30))),
        make_timestamp(unnest(piece.instants))
    FROM (SELECT from_json_strict(short, '{"ids":["VARCHAR"],"instants":["BIGINT"]}') AS piece,
            properties
        FROM (SELECT unnest([$1]) AS short, unnest([$2]) AS properties))"""


def _as_it_is(page: Any) -> Any:
    return page


def _alone(page: bytes) -> list[Any]:
    return [page]


def _columns(page: bytes) -> dict[str, list[Any]]:
    batch = decode_page(page, 0).read()[0]
    return {
        "ids": list(batch.distinct_ids),
        "properties": [text.decode() for text in batch.properties],
        "instants": [
            None if seen is None else (seen - _EPOCH) // _MICROSECOND for seen in batch.last_seen
        ],
    }


def _as_text(columns: dict[str, list[Any]]) -> list[Any]:
    return [_encode(columns).decode()]


def _as_two_texts(columns: dict[str, list[Any]]) -> list[Any]:
    short = {name: columns[name] for name in ("ids", "instants")}
    return [_encode(short).decode(), "\x1e".join(columns["properties"])]


@dataclass(frozen=True)
class Route:
    """One way in: the statement, what is made of a page before the clock starts and after it."""

    insert: str
    before: Callable[[bytes], Any]
    parameters: Callable[[Any], list[Any]]
    properties: str = "JSON"


ROUTES: Mapping[str, Route] = {
    # DuckDB reads the page's own text.
    "raw": Route(_RAW, _as_it_is, _alone),
    # Decoded beforehand by the package; one JSON text a page goes in.
    "lists": Route(_LISTS, _columns, _as_text),
    # The sink's own statement and compression.
    "own": Route(_OWN, _columns, _as_two_texts, "JSON USING COMPRESSION zstd"),
}


def run(base_url: str, route: str, file: str) -> dict[str, Any]:
    """Give seconds of wall and of CPU, and the rows. ``file`` is removed again.

    Raises RuntimeError if a row is missing: DuckDB's reader drops a page rather than fail.
    """
    way = ROUTES[route]
    pages = [way.before(page) for page in Server(base_url).pages()]
    cpu, started = _cpu(), time.perf_counter()
    with duckdb.connect(file) as connection:
        connection.execute(
            f"CREATE TABLE profiles (distinct_id VARCHAR, properties {way.properties},"
            " last_seen TIMESTAMP)"
        )
        connection.execute("BEGIN TRANSACTION")
        for page in pages:
            connection.execute(way.insert, way.parameters(page))
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")
    seconds, cpu = time.perf_counter() - started, _cpu() - cpu
    rows = _rows(file)
    Path(file).unlink()
    return {"seconds": seconds, "cpu": cpu, "rows": rows}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rows(file: str) -> int:
    counts = "SELECT count(*), count(distinct_id), count(properties), count(last_seen)"
    with duckdb.connect(file, read_only=True) as connection:
        found = connection.execute(f"{counts} FROM profiles").fetchone() or (0,)
    if len(set(found)) != 1 or not found[0]:
        raise RuntimeError(f"rows, ids, properties, instants: {found}")
    return int(found[0])
