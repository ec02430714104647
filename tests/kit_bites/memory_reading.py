"""How the sink in memory is read. A query of it is ``all rows of TABLE``."""

from __future__ import annotations

import json
from collections import Counter

from mixpanel_fetch.errors import ConfigError, TableNotFoundError
from mixpanel_fetch.reading import PropertySummary, TableInfo, TableSummary

COLUMNS = (("distinct_id", "text"), ("properties", "json"), ("last_seen", "instant"))
ALL_ROWS = "all rows of "


def select_all(table):
    return f"{ALL_ROWS}{table}"


class Answer:
    columns = tuple(name for name, _ in COLUMNS)
    types = tuple(kind for _, kind in COLUMNS)

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


class ReadableEngine:
    """What makes an engine with a ``store`` a QueryableEngine."""

    answer = Answer

    def tables(self):
        tables = sorted(self.store.tables.items())
        return [TableInfo(name, len(rows), COLUMNS) for name, rows in tables]

    def query(self, sql):
        table = sql.removeprefix(ALL_ROWS)
        if table in self.store.views:
            return self.answer_of_view(self.store.views[table])
        if table == sql or table not in self.store.tables:
            raise ConfigError(f"{sql!r} cannot be asked")
        return self.answer(self.store.tables[table])

    def answer_of_view(self, view):
        answer = Answer([*view.rows(self.store.tables[view.table])])
        answer.columns = view.names
        return answer

    def inspect(self, table, *, top=5):
        if table not in self.store.tables:
            raise TableNotFoundError(f"there is no table {table}")
        rows = self.store.tables[table]
        values = {}
        for _, properties, _ in rows:
            for name, value in json.loads(properties).items():
                values.setdefault(name, []).append(value)
        found = [self.property(name, seen, top) for name, seen in values.items()]
        days = Counter(self.day(seen) for _, _, seen in rows if seen is not None)
        return TableSummary(
            table=table,
            rows=len(rows),
            properties=tuple(sorted(found, key=lambda one: (-one.present, one.name))),
            days=tuple(sorted(days.items())),
            never_seen=len(rows) - sum(days.values()),
        )

    def property(self, name, values, top):
        counts = Counter(self.text(value) for value in values if value is not None)
        return PropertySummary(
            name=name,
            present=len(values),
            types=dict(Counter(map(self.type_of, values))),
            distinct=len(counts),
            top=tuple(counts.most_common(top)),
        )

    def text(self, value):
        return json.dumps(value, ensure_ascii=False)

    def type_of(self, value):
        names = {str: "string", list: "array", dict: "object", bool: "boolean"}
        return "null" if value is None else names.get(type(value), "number")

    def day(self, seen):
        return seen.date()
