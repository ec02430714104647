"""How the sink in memory shows properties as columns. A query of a view is as of a table."""

from __future__ import annotations

import json
import re
from datetime import date, datetime

from mixpanel_fetch.errors import ConfigError, TableNotFoundError

_DATE = r"\d{4}-\d\d-\d\d"
_INSTANT = _DATE + r"T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?"


class View:
    """Columns of a table: made anew each time that it is read."""

    def __init__(self, table, columns, null_texts):
        self.table, self.columns, self.null_texts = table, columns, null_texts

    @property
    def names(self):
        return ("distinct_id", *(column.name for column in self.columns), "last_seen")

    def rows(self, table):
        for distinct_id, properties, last_seen in table:
            values = json.loads(properties)
            shown = (self.value(column, values) for column in self.columns)
            yield (distinct_id, *shown, last_seen)

    def value(self, column, values):
        value = values.get(column.property)
        kind = kind_of(value, self.null_texts)
        return value if self.holds(column.type, kind) else None

    def holds(self, held, kind):
        return held in ("json", kind) or (held, kind) == ("number", "integer")


class ColumnsEngine:
    """What makes an engine with a ``store`` a ColumnsEngine."""

    view = View

    def property_kinds(self, table, null_texts=()):
        seen = {}
        for _, properties, _ in self.rows_of(table):
            for name, value in json.loads(properties).items():
                kinds = seen.setdefault(name, {})
                kind = kind_of(value, null_texts)
                kinds[kind] = kinds.get(kind, 0) + 1
        return seen

    def show_columns(self, table, view, columns, null_texts=()):
        self.rows_of(table)
        self.refuse_table(view)
        self.store.views[view] = self.view(table, columns, null_texts)

    def rows_of(self, table):
        if table not in self.store.tables:
            raise TableNotFoundError(f"there is no table {table}")
        return self.store.tables[table]

    def refuse_table(self, view):
        if view in self.store.tables:
            raise ConfigError(f"{view} is a table")


def kind_of(value, null_texts=()):
    if value is None or value in [*null_texts]:
        return "null"
    if isinstance(value, (bool, int, float)):
        names = {bool: "boolean", int: "integer", float: "number"}
        return names[type(value)]
    return kind_of_text(value) if isinstance(value, str) else "json"


def kind_of_text(text):
    for pattern, kind, read in ((_DATE, "date", date), (_INSTANT, "instant", datetime)):
        if re.fullmatch(pattern, text):
            try:
                read.fromisoformat(text.replace("Z", "+00:00"))
            except ValueError:
                return "text"
            return kind
    return "text"
