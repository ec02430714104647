"""Properties as typed columns: a view over the JSON of a table, which stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mixpanel_fetch.columns import Column, Kind
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.listing import Listed
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, fold, quoted
from mixpanel_fetch.errors import ConfigError

_TEXTS, _VALUES = "_mixpanel_fetch_texts", "_mixpanel_fetch_values"
_WHOLE = r"-?\d+"
_DATE = r"\d{4}-\d\d-\d\d"
_LOCAL = _DATE + r"[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_ZONE = r"(Z|[+-]\d\d:?\d\d)"
_INSTANT = f"{_LOCAL}{_ZONE}?"
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

# A cast alone would make 3 of 2.5, true of 1 and of "t", and 1970-01-01 of "epoch". Each expression
# names its value once: DuckDB plans thousands of columns in quadratic time where they repeat it.
_TYPED: dict[str, Callable[[int], str]] = {
    "boolean": lambda at: f"TRY_CAST({_only(_VALUES, at, 'true|false')} AS BOOLEAN)",
    "integer": lambda at: f"TRY_CAST({_only(_VALUES, at, _WHOLE)} AS BIGINT)",
    "number": lambda at: f"TRY_CAST({_VALUES}[{at}] AS DOUBLE)",
    "date": lambda at: f"TRY_CAST({_only(_TEXTS, at, _DATE)} AS DATE)",
    # A cast to TIMESTAMP would drop an offset without a word; without one it is UTC.
    "instant": lambda at: (
        "make_timestamp(epoch_us(TRY_CAST(regexp_replace(regexp_replace("
        f"{_only(_TEXTS, at, f'{_DATE}|{_INSTANT}')},"
        f" '^({_DATE})$', '\\1T00:00:00'), '^({_LOCAL})$', '\\1Z') AS TIMESTAMPTZ)))"
    ),
    "text": lambda at: f"{_TEXTS}[{at}]",
    "json": lambda at: f"CAST({_VALUES}[{at}] AS JSON)",
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
    shown = [
        f"{_TYPED[column.type](at)} AS {quoted(column.name)}"
        for at, column in enumerate(columns, 1)
    ]
    lists = _lists(properties, columns, null_texts)
    db.execute(
        f"CREATE OR REPLACE VIEW {db.sql(view)} AS"
        f" SELECT {', '.join([*map(quoted, first), *shown, *map(quoted, last)])}"
        f" FROM (SELECT *, {lists} FROM {db.sql(table.name)})"
    )


def _lists(properties: str, columns: Sequence[Column], null_texts: Sequence[str]) -> str:
    """Return two lists: each property as JSON, and the text of each that is a string.

    So a document is read twice a row, not once a column. What counts as null is in neither.
    """
    paths = ", ".join(_literal(_pointer(column.property)) for column in columns)
    nulls = ", ".join(map(_literal, null_texts)) or "NULL"
    texts = f"json_extract_string({properties}, [{paths}]::VARCHAR[])"
    values = f"json_extract({properties}, [{paths}]::VARCHAR[])::VARCHAR[]"
    is_text = "starts_with(x[2], '\"')"
    is_null = f"(x[1] IS NULL OR {is_text} AND coalesce(x[1] IN ({nulls}), false))"
    return (
        f"list_transform(list_zip({texts}, {values}),"
        f" lambda x: CASE WHEN {is_text} AND NOT {is_null} THEN x[1] END) AS {_TEXTS},"
        f" list_transform(list_zip({texts}, {values}),"
        f" lambda x: CASE WHEN NOT {is_null} THEN x[2] END) AS {_VALUES}"
    )


def _only(texts: str, at: int, pattern: str) -> str:
    """Return an expression for one of ``texts`` where it matches, else for an empty text."""
    return f"regexp_extract({texts}[{at}], '^({pattern})$')"


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
    # DuckDB 1 ends a statement at NUL.
    parts = ("'" + part.replace("'", "''") + "'" for part in text.split("\0"))
    return " || chr(0) || ".join(parts)
