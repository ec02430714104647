"""What is in a table, for people: an overview of its properties, or a few of them in detail."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mixpanel_fetch.cli.grid import printable, show_grid, width_of
from mixpanel_fetch.cli.report import show_text
from mixpanel_fetch.errors import ConfigError

if TYPE_CHECKING:
    from mixpanel_fetch.cli.output import Output
    from mixpanel_fetch.reading import PropertySummary, TableSummary

_SHOWN = 50  # properties on a terminal, unless all are asked for
_CONFLICTS = 5  # named one by one
_WITH_EXAMPLES, _WITH_DISTINCT = 60, 40  # columns of a terminal from which on there is room


def chosen(summary: TableSummary, names: Sequence[str], match: str | None) -> list[PropertySummary]:
    """Return the properties called ``names``, and like ``match``. Raises ConfigError for a name."""
    known = [one.name for one in summary.properties]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {printable(close[0])}?" if close else ""
            raise ConfigError(f"no row of {summary.table} has a property {printable(name)!r}{hint}")
    pattern = None if match is None else match.casefold()
    return [
        one
        for one in summary.properties
        if (not names or one.name in names)
        and (pattern is None or fnmatchcase(one.name.casefold(), pattern))
    ]


def show_overview(
    output: Output, summary: TableSummary, properties: Sequence[PropertySummary], *, whole: bool
) -> None:
    """Write a line for each property; on a terminal the first ones, unless ``whole``."""
    width = width_of(output)
    shown = properties if whole or width is None else properties[:_SHOWN]
    show_text(output, _head(summary))
    if not shown:
        if summary.properties:
            output.text("no property has such a name")
        return
    output.text()
    headings = ["PROPERTY", "COVERAGE", "TYPES", "DISTINCT", "EXAMPLES"]
    if width is not None and width < _WITH_EXAMPLES:
        headings = headings[: 4 if width >= _WITH_DISTINCT else 3]
    rows = [_row(one, summary.rows)[: len(headings)] for one in shown]
    show_grid(output, headings, rows, right={1, 3})
    show_text(output, _foot(properties, len(shown)))


def show_details(
    output: Output, summary: TableSummary, properties: Sequence[PropertySummary]
) -> None:
    """Write what is known of each property, a line for each of its most frequent values."""
    for number, one in enumerate(properties):
        if number:
            output.text()
        output.text(_named(one), bold=True)
        show_text(output, _facts(one, summary.rows))
        if one.top:
            show_grid(
                output,
                ("    ROWS", "VALUE"),
                [(f"{rows:,}", value) for value, rows in one.top],
                right={0},
            )


def _facts(one: PropertySummary, rows: int) -> list[str]:
    about = "" if one.distinct_is_exact else "about "
    plural = "" if one.distinct == 1 else "s"
    return [
        f"  in {one.present:,} of {rows:,} rows ({coverage(one.present, rows)})",
        f"  {_types(one, counted=True)}",
        f"  {about}{one.distinct:,} different value{plural}",
    ]


def coverage(present: int, rows: int) -> str:
    """Return a share in percent: 100% is all of them, and 0% none."""
    if present in (0, rows):
        return "100%" if present else "0%"
    percent = min(round(present / rows * 100, 1), 99.9)
    return f"{percent}%" if percent else "<0.1%"


def _head(summary: TableSummary) -> list[str]:
    lines = [f"{summary.table}: {summary.rows:,} rows, {len(summary.properties):,} properties"]
    never = f"{summary.never_seen:,} rows without one" if summary.never_seen else ""
    if summary.days:
        first, last = summary.days[0][0], summary.days[-1][0]
        when = f"on {first}" if first == last else f"from {first} to {last}"
        lines.append(f"last_seen {when}" + (f", {never}" if never else ""))
    elif never:
        lines.append("no row has a last_seen")
    return lines


def _row(one: PropertySummary, rows: int) -> list[str]:
    about = "" if one.distinct_is_exact else "~"
    return [
        _named(one),
        coverage(one.present, rows),
        _types(one, counted=one.conflict),
        f"{about}{one.distinct:,}",
        ", ".join(value for value, _ in one.top),
    ]


def _named(one: PropertySummary) -> str:
    return printable(one.name) if one.name.strip() else repr(one.name)


def _types(one: PropertySummary, *, counted: bool) -> str:
    mark = "! " if one.conflict else ""
    return mark + ", ".join(
        f"{kind} {rows:,}" if counted else kind for kind, rows in one.types.items()
    )


def _foot(properties: Sequence[PropertySummary], shown: int) -> list[str]:
    lines = []
    more = len(properties) - shown
    if more:
        lines.append(f"and {more:,} more: --all shows them, --match some of them")
    conflicts = [_named(one) for one in properties if one.conflict]
    if conflicts:
        listed = ", ".join(conflicts[:_CONFLICTS]) + (", ..." if conflicts[_CONFLICTS:] else "")
        plural = "y holds" if len(conflicts) == 1 else "ies hold"
        lines.append(f"! {len(conflicts):,} propert{plural} more than one type: {listed}")
    return ["", *lines] if lines else []
