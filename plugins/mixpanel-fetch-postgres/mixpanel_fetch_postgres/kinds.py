"""What a JSON value is, asked in SQL: its kind, and what a typed column shows of it.

Nothing here can fail: before its version 16, PostgreSQL has no cast that is NULL in place of an
error. So what is cast was matched before, and no more matches than the cast takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_postgres.listing import Listed
from mixpanel_fetch_postgres.mending import mended_id

_LEAP = r"\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00"
_DATE = (
    r"(?!0000)(\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\d|3[01])"
    r"|\d{4}-(0[469]|11)-(0[1-9]|[12]\d|30)"
    rf"|\d{{4}}-02-(0[1-9]|1\d|2[0-8])|({_LEAP})-02-29)"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?"
_ZONE = r"(Z|[+-](0\d|1[0-5]):?[0-5]\d)"


def counting(table: Listed, null_texts: Sequence[str]) -> str:
    """Return the query for how many values of each kind each property has."""
    nulls = ", ".join(null_values(null_texts))
    # A whole number that 64 bits do not hold is left in JSON: floating point would change it.
    kind = f"""CASE jsonb_typeof(value) WHEN 'null' THEN 'null' WHEN 'boolean' THEN 'boolean'
        WHEN 'number' THEN CASE WHEN {_is_integer("value")} THEN 'integer'
            WHEN NOT {_is_whole("value")} AND {_is_double("value")} THEN 'number'
            ELSE 'json' END
        WHEN 'string' THEN CASE WHEN value IN ({nulls}) THEN 'null'
            WHEN {_is_date("value")} THEN 'date' WHEN {_is_instant("value")} THEN 'instant'
            ELSE 'text' END
        ELSE 'json' END"""
    return (
        f"SELECT key, {kind} AS kind, count(*) FROM {table.table.sql} AS held,"
        f" jsonb_each({document_of(table)}) GROUP BY 1, 2"
    )


def document_of(table: Listed) -> str:
    """Return an expression for the properties of ``held``, as jsonb; NULL unless an object.

    Raises ConfigError for a table that holds no profiles.
    """
    kind = table.type_of("properties")
    if kind not in {"json", "jsonb"}:
        raise ConfigError(
            f"table {table.name} has no column properties of type jsonb, so it holds no profiles"
        )
    document = "held.properties" if kind == "jsonb" else "held.properties::jsonb"
    return f"CASE jsonb_typeof({document}) WHEN 'object' THEN {document} END"


def literal(text: str) -> str:
    """Return a text as SQL, whatever the session takes a backslash for."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def null_values(null_texts: Sequence[str]) -> list[str]:
    """Return the values that count as null, as SQL: null itself, and these texts."""
    # What jsonb cannot hold, no value is.
    held = (text for text in null_texts if mended_id(text) == text)
    return [f"jsonb {literal(json.dumps(text))}" for text in (None, *held)]


def _text(value: str) -> str:
    return f"({value} #>> '{{}}')"


def _is_whole(value: str) -> str:
    return f"scale({value}::numeric) = 0"  # 1.0 is none


def _is_integer(value: str) -> str:
    return f"({_is_whole(value)} AND {value}::numeric BETWEEN {-(2**63)} AND {2**63 - 1})"


def _is_double(value: str) -> str:
    size = f"abs({value}::numeric)"
    return f"({size} = 0 OR {size} BETWEEN 4.95e-324 AND 1.7976931348623157e308)"


def _is_date(value: str) -> str:
    return f"{_text(value)} ~ {literal(f'^{_DATE}$')}"


def _is_instant(value: str) -> str:
    return f"{_text(value)} ~ {literal(f'^{_DATE}[T ]{_TIME}{_ZONE}?$')}"


def _instant(value: str) -> str:
    # Without a zone it is UTC, whatever the session's is.
    text, zoned = _text(value), literal(f":.*{_ZONE}$")
    return (
        f"CASE WHEN {_is_date(value)} THEN ({text} || 'T00:00:00Z')::timestamptz"
        f" WHEN NOT {_is_instant(value)} THEN NULL"
        f" WHEN {text} ~ {zoned} THEN {text}::timestamptz"
        f" ELSE ({text} || 'Z')::timestamptz END"
    )


def _if_a(kind: str, value: str, shown: str) -> str:
    return f"CASE jsonb_typeof({value}) WHEN '{kind}' THEN {shown} END"


def _if(condition: str, shown: str) -> str:
    return f"CASE WHEN {condition} THEN {shown} END"


TYPED: Mapping[str, Callable[[str], str]] = {
    "boolean": lambda value: _if_a("boolean", value, f"{value}::boolean"),
    "integer": lambda value: _if_a(
        "number", value, _if(_is_integer(value), f"{value}::numeric::bigint")
    ),
    "number": lambda value: _if_a(
        "number", value, _if(_is_double(value), f"{value}::numeric::double precision")
    ),
    "date": lambda value: _if_a("string", value, _if(_is_date(value), f"{_text(value)}::date")),
    "instant": lambda value: _if_a("string", value, _instant(value)),
    "text": lambda value: _if_a("string", value, _text(value)),
    "json": lambda value: value,
}
"""What a column of each type shows of a value, an expression for a jsonb: NULL for what it does
not hold."""
