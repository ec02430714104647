"""What the properties of a table hold, counted by DuckDB.

Each row's object comes apart into pairs of a name and the value's JSON text. Equal pairs are
counted; that takes memory for each different pair, so where they might not fit, a survey comes
first: it takes the same memory for any number of rows, and says which properties have few enough
values to be counted. Of the others the different values are estimated, and the most frequent ones,
which the survey guesses, are counted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from mixpanel_fetch.defaults.duckdb_sink import failures
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.listing import Listed
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.reading import JSON_TYPES, PropertySummary, TableSummary

_LONGEST = 80  # characters of a value that are shown
_PER_PAIR = 100  # bytes that a pair takes beside its text
_GUESSES = 4  # times as many candidates as values are wanted: the guess is rough

_KIND = """CASE left(value, 1) WHEN '"' THEN 'string' WHEN '{' THEN 'object' WHEN '[' THEN 'array'
    WHEN 't' THEN 'boolean' WHEN 'f' THEN 'boolean' WHEN 'n' THEN 'null' ELSE 'number' END"""
_SHAPES = ('["VARCHAR"]', '[{"name": "VARCHAR", "value": "VARCHAR"}]')
"""Those of the parameters of ``_wanted``, as DuckDB's ``from_json`` takes them."""


def _pairs(table: str, properties: str) -> str:
    return f"""SELECT unnest(json_keys(document)) AS name,
        CAST(unnest(json_extract(document, '$.*')) AS VARCHAR) AS value
        FROM (SELECT {properties} AS document FROM {table})"""


def _counted(pairs: str, top: int) -> str:
    kinds = ", ".join(f"sum(n) FILTER (kind = '{kind}')" for kind in JSON_TYPES)
    return f"""SELECT name, {kinds}, count(*) FILTER (kind <> 'null'),
        min(struct_pack(less := -n, value := value), {top}) FILTER (kind <> 'null')
        FROM (SELECT *, {_KIND} AS kind FROM (
            SELECT name, value, count(*) AS n FROM ({pairs}) GROUP BY name, value))
        GROUP BY name"""


def _surveyed(pairs: str, guesses: int) -> str:
    kinds = ", ".join(f"count(*) FILTER (kind = '{kind}')" for kind in JSON_TYPES)
    return f"""SELECT name, {kinds}, approx_count_distinct(value) FILTER (kind <> 'null'),
        sum(strlen(value)), approx_top_k(value, {guesses}) FILTER (kind <> 'null')
        FROM (SELECT *, {_KIND} AS kind FROM ({pairs})) GROUP BY name"""


def _wanted(pairs: str) -> str:
    names, candidates = _SHAPES
    return f"""SELECT name, value FROM ({pairs})
        WHERE name IN (SELECT unnest(from_json_strict($1, '{names}')))
        OR (name, value) IN (SELECT (pair.name, pair.value) FROM (
            SELECT unnest(from_json_strict($2, '{candidates}')) AS pair))"""


def _by_day(table: str, day: str) -> str:
    return f"""SELECT day, count(*) FROM (SELECT {day} AS day FROM {table})
        WHERE day BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' GROUP BY day ORDER BY day"""


def inspect(db: Database, table: Listed, top: int, memory: int) -> TableSummary:
    """Return what is in ``table``. ``memory``: bytes that DuckDB may take.

    Raises ConfigError for a table without properties.
    """
    kind = table.type_of("properties")
    if kind is None:
        raise ConfigError(f"table {table.name} has no column properties, so it holds no profiles")
    properties = "properties" if kind == "JSON" else "TRY_CAST(properties AS JSON)"
    sql = db.sql(table.name)
    with failures.translated(f"cannot inspect {table.name}"):
        rows, size = db.execute(f"SELECT count(*), sum(strlen({properties})) FROM {sql}")[0]
        counting = _Counting(db, _pairs(sql, properties), max(top, 1))
        fits = (size or 0) <= memory // 4
        summaries = counting.all() if fits else counting.within(memory // 4)
        days = _days(db, table)
    return TableSummary(
        table=str(table.name),
        rows=rows,
        properties=tuple(sorted(summaries, key=lambda one: (-one.present, one.name))),
        days=days,
        never_seen=rows - sum(count for _, count in days),
    )


class _Counting:
    """The counts over one table's pairs."""

    def __init__(self, db: Database, pairs: str, top: int) -> None:
        self._db = db
        self._pairs = pairs
        self._top = top

    def all(self) -> list[PropertySummary]:
        """Count every pair."""
        return list(self._count(self._pairs).values())

    def within(self, budget: int) -> list[PropertySummary]:
        """Count what takes no more than ``budget`` bytes, and estimate the rest."""
        guesses = max(20, _GUESSES * self._top)
        surveyed = self._db.execute(_surveyed(self._pairs, guesses))
        few = _affordable(surveyed, budget)
        candidates = [
            {"name": row[0], "value": value}
            for row in surveyed
            if row[0] not in few
            for value in row[-1] or ()
        ]
        wanted = _wanted(self._pairs)
        counted = self._count(wanted, [json.dumps(sorted(few)), json.dumps(candidates)])
        return [
            counted[row[0]] if row[0] in few else _estimated(row, counted.get(row[0]))
            for row in surveyed
        ]

    def _count(self, pairs: str, parameters: Sequence[str] = ()) -> dict[str, PropertySummary]:
        rows = self._db.execute(_counted(pairs, self._top), parameters)
        return {
            name: PropertySummary(
                name=name,
                present=sum(n or 0 for n in kinds),
                types=_types(kinds),
                distinct=distinct,
                top=tuple((_cut(one["value"]), -one["less"]) for one in values or ()),
            )
            for name, *kinds, distinct, values in rows
        }


def _affordable(surveyed: Sequence[tuple[Any, ...]], budget: int) -> set[str]:
    """Return the properties whose different values fit into ``budget`` bytes: the smallest."""
    few, taken = set(), 0
    for size, name in sorted(_size(*row) for row in surveyed):
        taken += size
        if taken > budget:
            break
        few.add(name)
    return few


def _size(name: str, *figures: Any) -> tuple[int, str]:
    *kinds, distinct, length, _ = figures
    present = sum(kinds)
    return min(distinct + 1, present) * (_PER_PAIR + len(name) + length // present), name


def _estimated(row: tuple[Any, ...], candidates: PropertySummary | None) -> PropertySummary:
    name, *kinds, distinct, _, _ = row
    return PropertySummary(
        name=name,
        present=sum(kinds),
        types=_types(kinds),
        distinct=min(distinct, sum(kinds)),
        distinct_is_exact=False,
        top=candidates.top if candidates else (),
    )


def _types(kinds: Sequence[int | None]) -> dict[str, int]:
    return {kind: int(n) for kind, n in zip(JSON_TYPES, kinds, strict=True) if n}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _days(db: Database, table: Listed) -> tuple[tuple[date, int], ...]:
    kind = table.type_of("last_seen")
    if kind is None:
        return ()
    instant = "last_seen" if kind.startswith("TIMESTAMP") else "TRY_CAST(last_seen AS TIMESTAMP)"
    day = f"TRY_CAST({instant} AS DATE)"
    return tuple(db.execute(_by_day(db.sql(table.name), day)))
