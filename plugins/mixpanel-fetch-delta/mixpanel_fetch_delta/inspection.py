"""What the properties of a table hold, counted by DuckDB.

Each row's object comes apart into pairs of a name and the value's JSON text; equal pairs are
counted.
"""

from __future__ import annotations

from typing import Any

import duckdb

from mixpanel_fetch.reading import JSON_TYPES, PropertySummary, TableSummary

_LONGEST = 80  # characters of a value that are shown
_KIND = """CASE left(value, 1) WHEN '"' THEN 'string' WHEN '{' THEN 'object' WHEN '[' THEN 'array'
    WHEN 't' THEN 'boolean' WHEN 'f' THEN 'boolean' WHEN 'n' THEN 'null' ELSE 'number' END"""
_KINDS = ", ".join(f"sum(n) FILTER (kind = '{kind}')" for kind in JSON_TYPES)


def _counted(table: str, top: int) -> str:
    return f"""SELECT name, {_KINDS}, count(*) FILTER (kind <> 'null'),
        min(struct_pack(less := -n, value := value), {top}) FILTER (kind <> 'null')
        FROM (SELECT *, {_KIND} AS kind FROM (
            SELECT name, value, count(*) AS n FROM (
                SELECT unnest(json_keys(document)) AS name,
                    CAST(unnest(json_extract(document, '$.*')) AS VARCHAR) AS value
                FROM (SELECT TRY_CAST(properties AS JSON) AS document FROM {table}))
            GROUP BY name, value))
        GROUP BY name"""


def _by_day(table: str) -> str:
    return f"""SELECT day, count(*) FROM (SELECT CAST(last_seen AS DATE) AS day FROM {table})
        WHERE day IS NOT NULL GROUP BY day ORDER BY day"""


def inspect(connection: duckdb.DuckDBPyConnection, table: str, top: int) -> TableSummary:
    """Return what is in ``table``, a view of the connection's. Raises duckdb.Error."""
    name = f'"{table}"'
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
    counted = connection.execute(_counted(name, max(top, 1))).fetchall()
    days = connection.execute(_by_day(name)).fetchall()
    summaries = [_summary(*row) for row in counted]
    return TableSummary(
        table=table,
        rows=rows,
        properties=tuple(sorted(summaries, key=lambda one: (-one.present, one.name))),
        days=tuple((day, count) for day, count in days),
        never_seen=rows - sum(count for _, count in days),
    )


def _summary(name: str, *figures: Any) -> PropertySummary:
    *kinds, distinct, values = figures
    return PropertySummary(
        name=name,
        present=sum(int(n or 0) for n in kinds),
        types={kind: int(n) for kind, n in zip(JSON_TYPES, kinds, strict=True) if n},
        distinct=distinct,
        top=tuple((_cut(one["value"]), -int(one["less"])) for one in values or ()),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
