"""Properties as typed columns: a view over the JSON of a table, which stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.listing import Listed
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, fold, quoted
from mixpanel_fetch.errors import ConfigError

_TEXTS, _VALUES = "_mixpanel_fetch_texts", "_mixpanel_fetch_values"
_DATE = r"\d{4}-\d\d-\d\d"
_INSTANT = _DATE + r"[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?"
_ZONED = r"(Z|[+-]\d\d:?\d\d)$"
# A whole number that 64 bits do not hold is left in JSON: floating point would change it.
_KINDS = """SELECT name, kind, count(*) FROM (SELECT name, CASE json_type(value)
    WHEN 'NULL' THEN 'null' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'BIGINT' THEN 'integer'
    WHEN 'UBIGINT' THEN CASE WHEN TRY_CAST(value AS BIGINT) IS NULL THEN 'json' ELSE 'integer' END
    WHEN 'DOUBLE' THEN CASE WHEN regexp_full_match(value, '-?\\d+') THEN 'json' ELSE 'number' END
    WHEN 'VARCHAR' THEN CASE WHEN text IN ({nulls}) THEN 'null'
        WHEN regexp_full_match(text, $1) AND TRY_CAST(text AS DATE) IS NOT NULL THEN 'date'
        WHEN regexp_full_match(text, $2) AND TRY_CAST(text AS TIMESTAMP) IS NOT NULL
        THEN 'instant' ELSE 'text' END
    ELSE 'json' END AS kind
    FROM (SELECT *, json_extract_string(value, '$') AS text FROM (
        SELECT unnest(json_keys(document)) AS name,
            CAST(unnest(json_extract(document, '$.*')) AS VARCHAR) AS value
        FROM (SELECT {properties} AS document FROM {table})))) GROUP BY name, kind"""

_CASTS: dict[str, Callable[[str], str]] = {
    "boolean": "TRY_CAST({} AS BOOLEAN)".format,
    "integer": "TRY_CAST({} AS BIGINT)".format,
    "number": "TRY_CAST({} AS DOUBLE)".format,
    "date": "TRY_CAST({} AS DATE)".format,
    # Cast to TIMESTAMP, a text would lose its offset without a word.
    "instant": (
        f"CASE WHEN regexp_matches({{0}}, '{_ZONED}')"
        " THEN make_timestamp(epoch_us(TRY_CAST({0} AS TIMESTAMPTZ)))"
        " ELSE TRY_CAST({0} AS TIMESTAMP) END"
    ).format,
    "text": "{}".format,
}


def kinds_of(db: Database, table: Listed, null_texts: Sequence[str]) -> dict[str, dict[Kind, int]]:
    """Return how many values of each kind each property has. Raises ConfigError.

    ``null_texts``: texts that count as null.
    """
    nulls = ", ".join(map(_literal, null_texts)) or "NULL"
    seen: dict[str, dict[Kind, int]] = {}
    for each, kind, count in db.execute(
        _KINDS.format(table=db.sql(table.name), properties=_properties(table), nulls=nulls),
        [_DATE, _INSTANT],
    ):
        seen.setdefault(each, {})[kind] = count
    return seen


def create(
    db: Database,
    table: Listed,
    view: TableName,
    columns: Sequence[Column],
    null_texts: Sequence[str],
) -> None:
    """Make or change the view. Raises ConfigError for a name that a table has."""
    properties = _properties(table)
    _refuse_a_table(db, view)
    own = [column for column, _ in table.columns if fold(column) != "properties"]
    _refuse_clashes(table, view, own, columns)
    first = [column for column in own if fold(column) == "distinct_id"]
    last = [column for column in own if fold(column) != "distinct_id"]
    shown = [_shown(column, at, null_texts) for at, column in enumerate(columns, 1)]
    paths = ", ".join(_literal(_pointer(column.property)) for column in columns)
    db.execute(
        f"CREATE OR REPLACE VIEW {db.sql(view)} AS"
        f" SELECT {', '.join([*map(quoted, first), *shown, *map(quoted, last)])} FROM (SELECT *,"
        f" json_extract_string({properties}, [{paths}]::VARCHAR[]) AS {_TEXTS},"
        f" json_extract({properties}, [{paths}]::VARCHAR[]) AS {_VALUES}"
        f" FROM {db.sql(table.name)})"
    )


def _shown(column: Column, at: int, null_texts: Sequence[str]) -> str:
    if column.type == "json":
        return f"{_VALUES}[{at}] AS {quoted(column.name)}"
    text = f"{_TEXTS}[{at}]"
    if null_texts:
        nulls = ", ".join(map(_literal, null_texts))
        text = f"(CASE WHEN {text} IN ({nulls}) THEN NULL ELSE {text} END)"
    return f"{_CASTS[column.type](text)} AS {quoted(column.name)}"


def _properties(table: Listed) -> str:
    """Return an expression for the properties as JSON."""
    kind = table.type_of("properties")
    if kind is None:
        raise ConfigError(f"table {table.name} has no column properties, so it holds no profiles")
    return "properties" if kind == "JSON" else "TRY_CAST(properties AS JSON)"


def _refuse_clashes(
    table: Listed, view: TableName, own: Sequence[str], columns: Sequence[Column]
) -> None:
    names = {column.name for column in columns}
    clashing = [column for column in own if fold(column) in names]
    if clashing:
        raise ConfigError(
            f"column {clashing[0]} of {table.name} has the name that a property is to have in"
            f" {view}; rename it"
        )


def _refuse_a_table(db: Database, view: TableName) -> None:
    tables = db.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $1", [db.catalog]
    )
    if any(TableName(*each).same(view) for each in tables):
        raise ConfigError(f"{view} is a table; choose another name for the view with --view")


def _pointer(name: str) -> str:
    """Return the JSON pointer of a member (RFC 6901): the only path that takes any name."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
