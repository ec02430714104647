"""What a destination tells of what is in it: tables, answers to questions, properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mixpanel_fetch.notebook import html_table

_PROPERTIES = 100  # shown in a notebook

JSON_TYPES = ("string", "number", "boolean", "object", "array", "null")
"""The names by which a property's types are counted, those of JSON (RFC 8259, 3)."""


@dataclass(frozen=True)
class TableInfo:
    """A table or a view: its rows, its columns with the store's own types.

    ``name``: what ``inspect`` takes, unquoted; a query quotes it where its language wants that.
    ``holds_profiles``: whether it has the columns ``distinct_id``, ``properties``, ``last_seen``.
    """

    name: str
    rows: int
    columns: tuple[tuple[str, str], ...] = ()
    holds_profiles: bool = True


@dataclass(frozen=True)
class PropertySummary:
    """What the rows of a table say of one property.

    ``present``: rows that have it, JSON null included; ``types``: how many of those by the JSON
    type of the value; ``distinct``: how many different values, null left out, an estimate unless
    ``distinct_is_exact``; ``top``: values with the rows that have them, null left out, the most
    frequent first, each as JSON text, which may be cut short and then ends in ``…``.
    """

    name: str
    present: int
    types: Mapping[str, int] = field(default_factory=dict)
    distinct: int = 0
    distinct_is_exact: bool = True
    top: tuple[tuple[str, int], ...] = ()

    @property
    def conflict(self) -> bool:
        """Whether values of more than one type were seen, null left out."""
        return len(set(self.types) - {"null"}) > 1


@dataclass(frozen=True)
class TableSummary:
    """What is in a table of profiles: each property, by coverage and then by name, and the days.

    ``days``: rows by the UTC day of ``last_seen``, in order, days without rows left out;
    ``never_seen``: rows without a ``last_seen``.
    """

    table: str
    rows: int
    properties: tuple[PropertySummary, ...] = ()
    days: tuple[tuple[date, int], ...] = ()
    never_seen: int = 0

    def _repr_html_(self) -> str:
        rows = [_shown(one, self.rows) for one in self.properties]
        columns = ("property", "coverage", "types", "distinct", "most frequent")
        caption = f"{self.table}: {self.rows:,} profiles, {len(rows):,} properties"
        return html_table(columns, rows, caption=caption, shown=_PROPERTIES)


def _shown(one: PropertySummary, rows: int) -> tuple[str, ...]:
    about = "" if one.distinct_is_exact else "about "
    return (
        one.name,
        f"{one.present / rows:.1%}" if rows else "",
        ", ".join(f"{kind} {count:,}" for kind, count in one.types.items()),
        f"{about}{one.distinct:,}",
        ", ".join(f"{value} ({count:,})" for value, count in one.top),
    )
