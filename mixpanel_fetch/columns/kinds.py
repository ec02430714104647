"""Types of columns, from the kinds of values that were seen.

The rules, in order: nothing but null is text; one kind is its own type; whole and other numbers
together are floating point; a date and an instant are instants; text with dates is text; all else
is a conflict, and stays JSON, in which each value keeps its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["null", "boolean", "integer", "number", "date", "instant", "text", "json"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""``integer``: a whole number in 64 bits; ``number``: any other; ``date`` and ``instant``: texts
``YYYY-MM-DD`` and ``YYYY-MM-DDTHH:MM:SS``, with or without a zone, UTC without; ``json``: objects
and lists."""

ColumnType = Literal["boolean", "integer", "number", "date", "instant", "text", "json"]
_TOGETHER: tuple[tuple[frozenset[Kind], ColumnType], ...] = (
    (frozenset({"integer", "number"}), "number"),
    (frozenset({"date", "instant"}), "instant"),
    (frozenset({"text", "date", "instant"}), "text"),
)


def type_for(seen: Mapping[Kind, int]) -> ColumnType:
    """Return the type that holds every value seen. ``seen``: how many values of each kind."""
    kinds = {kind for kind, count in seen.items() if count and kind != "null"}
    if not kinds:
        return "text"
    if len(kinds) == 1:
        (kind,) = kinds
        return kind
    return next((one for together, one in _TOGETHER if kinds <= together), "json")


def in_conflict(seen: Mapping[Kind, int]) -> bool:
    """Whether no type but JSON holds the values, which are not all objects or lists."""
    return type_for(seen) == "json" and any(
        count for kind, count in seen.items() if kind not in {"json", "null"}
    )
