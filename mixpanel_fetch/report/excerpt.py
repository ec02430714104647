"""How much of names and values is shown, so that the page stays below 2 MB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

from mixpanel_fetch.reading import PropertySummary
from mixpanel_fetch.report.text import cut, visible

BUDGET = 1_900_000
"""Bytes for all properties; style, script, chart and runs take less than 100,000 more."""
# Bytes of markup and figures: of a property, of one with a conflict besides, of each value.
_PROPERTY, _CONFLICT, _VALUE = 260, 480, 36


@dataclass(frozen=True)
class Excerpt:
    """At most this many characters of a name and of a value, this many values, all properties."""

    name: int
    value: int
    top: int
    properties: int

    def values(self, each: PropertySummary) -> Iterable[tuple[str, int]]:
        """Return the values of one property that are shown, and their rows."""
        return ((cut(text, self.value), rows) for text, rows in each.top[: self.top])


_SIZES = (
    *((200, 200, 100), (160, 120, 20), (120, 80, 10), (80, 40, 10), (80, 40, 7)),
    *((80, 40, 5), (60, 30, 3), (40, 20, 2), (40, 20, 1)),
)


def excerpt_of(properties: Sequence[PropertySummary]) -> Excerpt:
    """Return the largest excerpt that fits; of very many properties, only the first are shown."""
    for name, value, top in _SIZES:
        excerpt = Excerpt(name, value, top, len(properties))
        sizes = list(accumulate(_bytes(each, excerpt) for each in properties))
        if not sizes or sizes[-1] <= BUDGET:
            return excerpt
    fitting = sum(size <= BUDGET for size in sizes)
    return Excerpt(name, value, top, fitting)


def _bytes(each: PropertySummary, excerpt: Excerpt) -> int:
    name = _escaped(cut(each.name, excerpt.name))
    values = [_escaped(text) + _VALUE for text, _ in excerpt.values(each)]
    # The most frequent value stands in the row and in the list; a conflict has a second row.
    size = _PROPERTY + name + sum(values) + (values[0] if values else 0)
    return size + (_CONFLICT + name if each.conflict else 0)


def _escaped(text: str) -> int:
    return len(escape(visible(text)).encode())
