"""Columns of Python values as an Arrow table, by whichever library is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from typing import Any, Literal

from mixpanel_fetch.errors import ConfigError

Kind = Literal["bool", "int", "float", "decimal", "text", "bytes", "date", "timestamp", "instant"]
"""What a column holds. A ``timestamp`` has no zone, an ``instant`` is in UTC; both count
microseconds. A ``decimal`` has up to 38 digits, ``text`` is UTF-8."""

_DIGITS = 38
_DAY_ZERO = date(1970, 1, 1)
_START = datetime(1970, 1, 1)
_EPOCH = _START.replace(tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_MISSING = (
    "no Arrow library is installed: pip install pyarrow, or pip install mixpanel-fetch[arrow]"
)


@dataclass(frozen=True)
class Column:
    """A name and values of one kind, None among them."""

    name: str
    values: Sequence[Any]
    kind: Kind

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Column:
        """Return the column of the kind that holds all ``values``.

        Without any it is text. So is what Arrow has no common kind for: lists and dicts as JSON,
        everything else as ``str`` has it.
        """
        kinds = {_kind_of(value) for value in values if value is not None}
        if len(kinds) == 1:
            (kind,) = kinds
        elif kinds in ({"int", "float"}, {"int", "decimal"}):
            kind = "float" if "float" in kinds else "decimal"
        else:
            kind = "text"
        if kind == "decimal" and sum(_digits(values)) > _DIGITS:
            kind = "text"
        if kind == "text":
            values = [_text(value) for value in values]
        return cls(name, values, kind)


def table(columns: Sequence[Column]) -> Any:
    """Return a ``pyarrow.Table``, or without that an ``arro3.core.Table``.

    Raises ConfigError, which says what to install, without both.
    """
    try:
        return stream(columns)
    except ImportError:
        raise ConfigError(_MISSING) from None


def stream(columns: Sequence[Column]) -> Any:
    """Return what :func:`table` does. Raises ImportError without a library."""
    library = _library()
    return library.table(
        [_array(library, one.values, one.kind) for one in columns], [one.name for one in columns]
    )


def frame(rows: Sequence[Any], columns: Sequence[str]) -> Any:
    """Return a ``pandas.DataFrame``. Raises ConfigError where pandas is not installed."""
    try:
        pandas: Any = import_module("pandas")
    except ImportError:
        raise ConfigError("a data frame needs pandas: pip install pandas") from None
    return pandas.DataFrame.from_records(rows, columns=list(columns))


@dataclass(frozen=True)
class _Library:
    """The few names of a library that are needed here."""

    types: Any
    boolean: Any
    array: Callable[[Sequence[Any], Any], Any]
    table: Callable[[Sequence[Any], Sequence[str]], Any]


def _library() -> _Library:
    try:
        pa: Any = import_module("pyarrow")
    except ImportError:
        pass
    else:
        return _Library(pa, pa.bool_(), pa.array, pa.Table.from_arrays)
    try:
        from arro3.core import Array, DataType, Field, Schema, Table
    except ImportError:
        raise ImportError(_MISSING) from None

    def made(arrays: Sequence[Any], names: Sequence[str]) -> Any:
        pairs = zip(names, arrays, strict=True)
        fields = [Field(name, array.type, nullable=True) for name, array in pairs]
        return Table.from_arrays(arrays, schema=Schema(fields))

    return _Library(DataType, DataType.bool(), Array, made)


def _array(library: _Library, values: Sequence[Any], kind: Kind) -> Any:
    types = library.types
    if kind == "bool":
        return library.array(values, library.boolean)
    if kind in _AS_THEY_ARE:
        return library.array(values, getattr(types, _AS_THEY_ARE[kind])())
    # What arro3 cannot read from Python values goes in as something plain, and is cast.
    if kind == "decimal":
        scale = _digits(values)[1]
        plain, stored = types.string(), types.decimal128(_DIGITS, scale)
    elif kind == "date":
        plain, stored = types.int32(), types.date32()
    else:
        zone = {"tz": "UTC"} if kind == "instant" else {}
        plain, stored = types.int64(), types.timestamp("us", **zone)
    plainly = _PLAINLY[kind]
    return library.array([None if one is None else plainly(one) for one in values], plain).cast(
        stored
    )


_AS_THEY_ARE = {"int": "int64", "float": "float64", "text": "string", "bytes": "binary"}
_PLAINLY: dict[str, Callable[[Any], Any]] = {
    "decimal": lambda value: f"{value:f}",
    "date": lambda value: (value - _DAY_ZERO).days,
    "timestamp": lambda value: (value - _START) // _MICROSECOND,
    "instant": lambda value: (value - _EPOCH) // _MICROSECOND,
}


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "decimal"
    if isinstance(value, Decimal):
        return "decimal" if value.is_finite() else "text"
    if isinstance(value, datetime):
        return "timestamp" if value.tzinfo is None else "instant"
    for kind, kinds in _KINDS:
        if isinstance(value, kinds):
            return kind
    return "text"


_KINDS: tuple[tuple[Kind, type | tuple[type, ...]], ...] = (
    ("float", float),
    ("date", date),
    ("bytes", (bytes, bytearray)),
)


def _digits(values: Sequence[Any]) -> tuple[int, int]:
    """Return how many digits stand before and after the point at most."""
    before = after = 0
    for value in values:
        if value is not None:
            _, digits, exponent = Decimal(value).as_tuple()
            assert isinstance(exponent, int)
            before = max(before, len(digits) + exponent)
            after = max(after, -exponent)
    return before, after


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
