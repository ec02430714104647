"""How values show themselves in a notebook: plain tables, in the colors that it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import Any

SHOWN = 20
"""Rows of a table that are shown; how many more there are is said below it."""
_LONGEST = 120  # characters of a value
_SHORT = 40  # characters that stay on one line


def html_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str = "",
    shown: int = SHOWN,
) -> str:
    """Return a table as HTML. Values are text, whatever they hold; numbers stand to the right."""
    rows, more = rows[:shown], len(rows) - shown
    numbers = {i for i in range(len(columns)) if rows and all(_is_number(row[i]) for row in rows)}
    head = "".join(_cell("th", name, right=i in numbers) for i, name in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(_cell('td', value, right=_is_number(value)) for value in row)}</tr>"
        for row in rows
    )
    title = f'<caption style="text-align: left">{_text(caption)}</caption>' if caption else ""
    rest = f"<p>and {more:,} more rows</p>" if more > 0 else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def html_facts(facts: Iterable[tuple[str, str]], *, caption: str) -> str:
    """Return names and values as HTML, one below the other."""
    return html_table((), list(facts), caption=caption)


def _cell(tag: str, value: Any, *, right: bool) -> str:
    text = _text(value)
    side = "right" if right else "left"
    width = "white-space: nowrap" if len(text) <= _SHORT else "overflow-wrap: anywhere"
    return f'<{tag} style="text-align: {side}; {width}">{text}</{tag}>'


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = "" if value is None else str(value)
    return escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
