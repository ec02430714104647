"""What the properties of a table hold, counted by the server."""

from __future__ import annotations

from datetime import date
from typing import Any

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.reading import JSON_TYPES, PropertySummary, TableSummary
from mixpanel_fetch_postgres import failures
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.listing import Listed

_LONGEST = 80  # characters of a value that are shown
_KINDS = ", ".join(f"sum(n) FILTER (WHERE kind = '{kind}')::bigint" for kind in JSON_TYPES)
_COUNTED = f"""WITH counted AS (
        SELECT pair.key AS name, jsonb_typeof(pair.value) AS kind, pair.value::text AS value,
            count(*) AS n
        FROM (SELECT properties::jsonb AS document FROM {{table}}) AS rows,
            jsonb_each(CASE jsonb_typeof(document) WHEN 'object' THEN document END) AS pair
        GROUP BY 1, 2, 3),
    placed AS (
        SELECT *, row_number() OVER (
            PARTITION BY name ORDER BY kind = 'null', n DESC, value COLLATE "C") AS place
        FROM counted)
    SELECT name, {_KINDS}, count(*) FILTER (WHERE kind <> 'null'),
        array_agg(left(value, {_LONGEST + 1}) ORDER BY place) FILTER (WHERE shown),
        array_agg(n ORDER BY place) FILTER (WHERE shown)
    FROM (SELECT *, kind <> 'null' AND place <= {{top}} AS shown FROM placed) AS all_of_them
    GROUP BY name"""
# The session is in UTC, so that an instant's day is that of UTC. Python has no other years.
_DAYS = """SELECT last_seen::date AS day, count(*) FROM {table}
    WHERE last_seen >= '0001-01-01 BC'::timestamp AND last_seen::date BETWEEN
    DATE '0001-01-01' AND DATE '9999-12-31' GROUP BY 1 ORDER BY 1"""


def inspect(db: Database, table: Listed, top: int) -> TableSummary:
    """Return what is in ``table``. Raises ConfigError for a table without properties."""
    if table.type_of("properties") not in {"json", "jsonb"}:
        raise ConfigError(
            f"table {table.name} has no column properties of type jsonb, so it holds no profiles"
        )
    with failures.translated(f"cannot inspect {table.name}"), db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        rows = int(db.value(f"SELECT count(*) FROM {table.table.sql}"))
        counted = db.execute(_COUNTED.format(table=table.table.sql, top=max(top, 1)))
        days = _days(db, table)
    summaries = [_summary(*row) for row in counted]
    return TableSummary(
        table=table.name,
        rows=rows,
        properties=tuple(sorted(summaries, key=lambda one: (-one.present, one.name))),
        days=days,
        never_seen=rows - sum(count for _, count in days),
    )


def _summary(name: str, *figures: Any) -> PropertySummary:
    *kinds, distinct, values, counts = figures
    return PropertySummary(
        name=name,
        present=sum(n or 0 for n in kinds),
        types={kind: n for kind, n in zip(JSON_TYPES, kinds, strict=True) if n},
        distinct=distinct,
        top=tuple(zip(map(_cut, values or ()), counts or (), strict=True)),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _days(db: Database, table: Listed) -> tuple[tuple[date, int], ...]:
    if not (table.type_of("last_seen") or "").startswith("timestamp"):
        return ()
    return tuple(db.execute(_DAYS.format(table=table.table.sql)))
