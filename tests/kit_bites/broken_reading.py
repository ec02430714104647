"""Sinks that break one promise each: of reading what is in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.reading import TableInfo

from .memory import MemoryEngine
from .memory_reading import ALL_ROWS, COLUMNS, Answer
from .registering import bites

TABLES = "test_tables_tell_of_what_landed"
OWN = "test_tables_are_the_users_own"
QUERY = "test_a_query_finds_the_rows"
INSPECT = "test_inspect_agrees_with_the_rows"


def without_null(one):
    return one.present - one.types.get("null", 0)


@bites(TABLES, "must list profiles once, not 0 times", part="engine")
class NoTableIsListed(MemoryEngine):
    def tables(self):
        return []


@bites(TABLES, "must count 3 rows, not 0", part="engine")
class TheRowsOfTablesAreNotCounted(MemoryEngine):
    def tables(self):
        return [replace(one, rows=0) for one in super().tables()]


@bites(TABLES, "must be known to hold profiles", part="engine")
class NoTableHoldsProfiles(MemoryEngine):
    def tables(self):
        return [replace(one, holds_profiles=False) for one in super().tables()]


@bites(TABLES, "must name the column distinct_id", part="engine")
class TablesHaveNoColumns(MemoryEngine):
    def tables(self):
        return [replace(one, columns=()) for one in super().tables()]


@bites(OWN, "must leave out what the sink keeps for itself", part="engine")
class StagingTablesAreListed(MemoryEngine):
    def tables(self):
        staging = [f"staging_{run.info.run_id}" for run in self.store.runs if run.pages]
        return [*super().tables(), *(TableInfo(name, 1, COLUMNS) for name in staging)]


@bites(OWN, "must come by name", part="engine")
class TablesComeInNoOrder(MemoryEngine):
    def tables(self):
        return [*super().tables(), TableInfo("a", 0)]


@bites(QUERY, "must be answered; it raised StorageError", part="engine")
class NoQueryIsAnswered(MemoryEngine):
    def query(self, sql):
        raise StorageError("not today")


@bites(QUERY, "must have as many types", part="engine")
class AnAnswerHasNoTypes(MemoryEngine):
    class answer(Answer):  # noqa: N801
        types = ()


@bites(QUERY, "must have a column distinct_id", part="engine")
class TheColumnsOfAnAnswerHaveNoNames(MemoryEngine):
    class answer(Answer):  # noqa: N801
        columns = ("", "", "")


@bites(QUERY, "must find the rows that landed, not", part="engine")
class TheLastRowOfAnAnswerIsLost(MemoryEngine):
    class answer(Answer):  # noqa: N801
        def __iter__(self):
            return iter(self.rows[:-1])


@bites(
    "test_a_query_that_cannot_be_asked_is_refused",
    "must be a ConfigError; nothing was raised",
    part="engine",
)
class WhatCannotBeAskedHasNoRows(MemoryEngine):
    def query(self, sql):
        return self.answer(self.store.tables.get(sql.removeprefix(ALL_ROWS), []))


@bites(
    "test_a_query_that_cannot_be_asked_is_refused",
    "must be a ConfigError; it raised KeyError",
    part="engine",
)
class WhatCannotBeAskedIsAnyError(MemoryEngine):
    def query(self, sql):
        return self.answer(self.store.tables[sql.removeprefix(ALL_ROWS)])


@bites(INSPECT, "must be about the table", part="engine")
class InspectCountsNoRows(MemoryEngine):
    def inspect(self, table, *, top=5):
        return replace(super().inspect(table, top=top), rows=0)


@bites(INSPECT, "in this order, not", part="engine")
class PropertiesComeInNoOrder(MemoryEngine):
    def inspect(self, table, *, top=5):
        summary = super().inspect(table, top=top)
        return replace(summary, properties=summary.properties[::-1])


@bites(INSPECT, "in this order, not", part="engine")
class NamesDoNotDifferByCase(MemoryEngine):
    def inspect(self, table, *, top=5):
        summary = super().inspect(table, top=top)
        names = {one.name.lower(): one for one in summary.properties}
        return replace(summary, properties=tuple(names.values()))


@bites(INSPECT, "must say 4 rows, not 3", part="engine")
class RowsWithNullAreNotCounted(MemoryEngine):
    def inspect(self, table, *, top=5):
        summary = super().inspect(table, top=top)
        seen = [replace(one, present=without_null(one)) for one in summary.properties]
        return replace(summary, properties=tuple(seen))


@bites(INSPECT, "must say the types", part="engine")
class TypesAreThoseOfPython(MemoryEngine):
    def type_of(self, value):
        return type(value).__name__


@bites(INSPECT, "different values, not", part="engine")
class NullIsAValueLikeOthers(MemoryEngine):
    def property(self, name, values, top):
        distinct = len(set(map(self.text, values)))
        return replace(super().property(name, values, top), distinct=distinct)


@bites(INSPECT, "must show 2 values", part="engine")
class EveryValueIsShown(MemoryEngine):
    def property(self, name, values, top):
        return super().property(name, values, 10)


@bites(INSPECT, "must show its values as JSON", part="engine")
class ValuesAreShownAsPythonHasThem(MemoryEngine):
    def text(self, value):
        return repr(value)


@bites(INSPECT, "must count 0 rows for", part="engine")
class TextIsShownInCapitals(MemoryEngine):
    def text(self, value):
        return super().text(value).upper() if isinstance(value, str) else super().text(value)


@bites(INSPECT, "must count the days", part="engine")
class DaysAreThoseOfAnotherZone(MemoryEngine):
    def day(self, seen):
        return (seen + timedelta(hours=14)).date()


@bites(INSPECT, "rows have no last_seen, not 0", part="engine")
class RowsWithoutAnInstantAreForgotten(MemoryEngine):
    def inspect(self, table, *, top=5):
        return replace(super().inspect(table, top=top), never_seen=0)


@bites(
    "test_inspect_refuses_a_missing_table",
    "must be refused; it raised ConfigError",
    part="engine",
)
class AMissingTableIsAWrongSetting(MemoryEngine):
    def inspect(self, table, *, top=5):
        if table not in self.store.tables:
            raise ConfigError(f"there is no table {table}")
        return super().inspect(table, top=top)


@bites("test_reading_creates_nothing", "reading must create nothing", part="engine")
class ReadingCreatesTheTable(MemoryEngine):
    def inspect(self, table, *, top=5):
        self.store.tables.setdefault(table, [])
        return super().inspect(table, top=top)


@bites("test_reading_creates_nothing", "is refused, or finds nothing; it", part="engine")
class ReadingFailsWhereNothingIs(MemoryEngine):
    def tables(self):
        if not self.store.tables:
            raise StorageError("nothing here")
        return super().tables()


@bites(
    "test_what_was_not_read_to_its_end_is_let_go",
    "others must be able to write; it raised StorageError",
    part="engine",
)
class AnAnswerKeepsTheStore(MemoryEngine):
    def query(self, sql):
        self.store.tables["lock"] = []
        return super().query(sql)

    def begin(self, table, mode, run):
        if "lock" in self.store.tables:
            raise StorageError("locked")
        return super().begin(table, mode, run)


@bites("test_what_was_not_read_to_its_end_is_let_go", "and twice; it raised", part="engine")
class ClosingAfterAnAnswerFails(MemoryEngine):
    asked = False

    def query(self, sql):
        self.asked = True
        return super().query(sql)

    def close(self):
        if self.asked:
            raise StorageError("busy")
