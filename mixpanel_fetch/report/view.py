"""What the templates show: a table's summary and its runs, put into words and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.reading import JSON_TYPES, PropertySummary, TableSummary
from mixpanel_fetch.report.charts import BarChart, bar_chart
from mixpanel_fetch.report.excerpt import Excerpt, excerpt_of
from mixpanel_fetch.report.figures import count, filled, instant, share
from mixpanel_fetch.report.history import LastRun, RunRow, last_run, run_row
from mixpanel_fetch.report.periods import Periods, periods_of
from mixpanel_fetch.report.text import cut
from mixpanel_fetch.secret import redact_uri

_LINE = 300  # characters of a name or a URI in the head
_RUNS = 50


@dataclass(frozen=True)
class Value:
    """A frequent value as JSON text, its rows, and their share of those that have a value."""

    text: str
    rows: int
    share: str


@dataclass(frozen=True)
class PropertyRow:
    """A row of the table of properties. ``filled``: its bar's length, 0 to 100."""

    name: str
    present: int
    share: str
    filled: int
    types: tuple[tuple[str, int], ...]
    conflict: bool
    distinct: int
    distinct_is_exact: bool
    top: tuple[Value, ...]


@dataclass(frozen=True)
class ConflictRow:
    """A property whose values disagree on their type: rows by each type in question."""

    name: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class PageView:
    """Everything on the page."""

    table: str
    destination: str
    rows: int
    made_at: str
    never_seen: int
    periods: Periods | None
    chart: BarChart | None
    properties: tuple[PropertyRow, ...]
    properties_in_all: int
    conflict_types: tuple[str, ...]
    conflicts: tuple[ConflictRow, ...]
    last_run: LastRun | None
    runs: tuple[RunRow, ...]
    runs_in_all: int


def page_view(
    summary: TableSummary, runs: Sequence[RunRecord], *, destination: str, made_at: datetime
) -> PageView:
    """Return the view of ``summary`` and of those ``runs`` that are of its table."""
    runs = [record for record in runs if record.info.table == summary.table]
    excerpt = excerpt_of(summary.properties)
    periods = periods_of(summary.days)
    shown = summary.properties[: excerpt.properties]
    conflicting = [each for each in shown if each.conflict]
    table = cut(summary.table, _LINE)
    types = tuple(sorted({t for each in conflicting for t in each.types}, key=_type_order))
    return PageView(
        table=table,
        destination=cut(redact_uri(destination), _LINE),
        rows=summary.rows,
        made_at=instant(made_at),
        never_seen=summary.never_seen,
        periods=periods,
        chart=None if periods is None else bar_chart(periods),
        properties=tuple(_property_row(each, summary.rows, excerpt) for each in shown),
        properties_in_all=len(summary.properties),
        conflict_types=types,
        conflicts=tuple(_conflict_row(each, types, excerpt) for each in conflicting),
        last_run=last_run(runs[0], table) if runs else None,
        runs=tuple(map(run_row, runs[:_RUNS])),
        runs_in_all=len(runs),
    )


def chart_words(view: PageView) -> str:
    """Return the chart in a sentence, for those who hear the page."""
    if view.periods is None:
        return "No row has a time of last_seen."
    label, most = max(view.periods.rows, key=lambda period: period[1])
    shown = sum(rows for _, rows in view.periods.rows)
    return (
        f"{count(shown, 'row')} by {view.periods.step} from {view.periods.first} to"
        f" {view.periods.last}. The most are {most:,}, in {label}."
    )


def _type_order(name: str) -> tuple[int, str]:
    return (JSON_TYPES.index(name) if name in JSON_TYPES else len(JSON_TYPES), name)


def _property_row(each: PropertySummary, rows: int, excerpt: Excerpt) -> PropertyRow:
    values = each.present - each.types.get("null", 0)
    return PropertyRow(
        name=cut(each.name, excerpt.name),
        present=each.present,
        share=share(each.present, rows),
        filled=filled(each.present, rows),
        types=tuple(sorted(each.types.items(), key=lambda item: (-item[1], item[0]))),
        conflict=each.conflict,
        distinct=each.distinct,
        distinct_is_exact=each.distinct_is_exact,
        top=tuple(Value(text, n, share(n, values)) for text, n in excerpt.values(each)),
    )


def _conflict_row(each: PropertySummary, types: tuple[str, ...], excerpt: Excerpt) -> ConflictRow:
    return ConflictRow(cut(each.name, excerpt.name), tuple(each.types.get(t, 0) for t in types))
