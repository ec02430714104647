"""Sinks that break one promise each: of properties as typed columns."""

from __future__ import annotations

from mixpanel_fetch.errors import StorageError, TableNotFoundError

from .memory import MemoryEngine
from .memory_columns import View
from .registering import bites

KINDS = "test_kinds_are_counted"
SHOWS = "test_each_column_shows_its_own_property"
ALONE = "test_a_view_leaves_the_table_alone"
NULL = "test_what_a_column_does_not_hold_is_null"
AGAIN = "test_a_view_may_be_made_again"
TABLE = "test_the_name_of_a_table_is_refused"
MISSING = "test_columns_of_a_missing_table_are_refused"


@bites(KINDS, r"the values of the property '\w+' are", part="engine")
class DatesAreTexts(MemoryEngine):
    def property_kinds(self, table, null_texts=()):
        seen = super().property_kinds(table, null_texts)
        for kinds in seen.values():
            dates = kinds.pop("date", 0)
            kinds.update({"text": kinds.get("text", 0) + dates} if dates else {})
        return seen


@bites(KINDS, r"the values of the property '\w+' are", part="engine")
class TextsThatStandForNullAreTexts(MemoryEngine):
    def property_kinds(self, table, null_texts=()):
        return super().property_kinds(table)


@bites(KINDS, "there are no properties but those", part="engine")
class ColumnsOfTheTableAreProperties(MemoryEngine):
    def property_kinds(self, table, null_texts=()):
        seen = super().property_kinds(table, null_texts)
        return seen | {"distinct_id": {"text": len(self.store.tables[table])}}


@bites(SHOWS, "property_kinds must name", part="engine")
class APropertyWithoutANameIsLeftOut(MemoryEngine):
    def property_kinds(self, table, null_texts=()):
        seen = super().property_kinds(table, null_texts)
        return {name: kinds for name, kinds in seen.items() if name}


@bites(SHOWS, "of the property 'NAME' must show|of the property 'Name' must show", part="engine")
class CaseMakesNoDifference(MemoryEngine):
    class view(View):  # noqa: N801
        def value(self, column, values):
            return super().value(column, {name.lower(): one for name, one in values.items()})


@bites(SHOWS, "of the property 'a.b' must show 1009, not None", part="engine")
class ADotIsAPath(MemoryEngine):
    class view(View):  # noqa: N801
        def value(self, column, values):
            return None if "." in column.property else super().value(column, values)


@bites(SHOWS, "has the table's own columns", part="engine")
class AViewHasNoIds(MemoryEngine):
    class view(View):  # noqa: N801
        names = property(lambda self: ("id", *super().names[1:]))


@bites(ALONE, "must leave the table as it was", part="engine")
class PropertiesMoveIntoTheView(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        super().show_columns(table, view, columns, null_texts)
        self.store.tables[table] = [(row[0], b"{}", row[2]) for row in self.store.tables[table]]


@bites(NULL, "are NULL in the view", part="engine")
class AColumnHoldsEverything(MemoryEngine):
    class view(View):  # noqa: N801
        def holds(self, held, kind):
            return kind != "null"


@bites(NULL, "are NULL in the view", part="engine")
class TextsThatStandForNullAreShown(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        super().show_columns(table, view, columns)


@bites(NULL, "are NULL in the view", part="engine")
class RowsThatDoNotFitAreLeftOut(MemoryEngine):
    class view(View):  # noqa: N801
        def rows(self, table):
            return (row for row in super().rows(table) if any(row[1:-1]))


@bites(AGAIN, "show_columns must make the view; it raised StorageError", part="engine")
class AViewIsMadeOnce(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        if view in self.store.views:
            raise StorageError(f"{view} is there")
        super().show_columns(table, view, columns, null_texts)


@bites(AGAIN, "made with other columns must have those", part="engine")
class AViewStaysAsItWas(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        if view not in self.store.views:
            super().show_columns(table, view, columns, null_texts)


@bites(AGAIN, "made twice must be the same", part="engine")
class EachTimeAddsRows(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        if view in self.store.views:
            self.store.tables[table] += self.store.tables[table]
        super().show_columns(table, view, columns, null_texts)


@bites(TABLE, "must not be called like a table; nothing was raised", part="engine")
class AViewHidesATable(MemoryEngine):
    def refuse_table(self, view):
        pass


@bites(TABLE, "must not be called like a table; it raised StorageError", part="engine")
class TheNameOfATableIsAnyError(MemoryEngine):
    def refuse_table(self, view):
        if view in self.store.tables:
            raise StorageError("taken")


@bites(TABLE, "must leave the table as it was", part="engine")
class ATableOfThatNameIsDropped(MemoryEngine):
    def refuse_table(self, view):
        try:
            super().refuse_table(view)
        finally:
            self.store.tables.pop(view, None)


@bites(MISSING, "must be refused; nothing was raised", part="engine")
class AMissingTableHasNoProperties(MemoryEngine):
    def property_kinds(self, table, null_texts=()):
        try:
            return super().property_kinds(table, null_texts)
        except TableNotFoundError:
            return {}


@bites(MISSING, "must be refused; nothing was raised", part="engine")
class AViewNeedsNoTable(MemoryEngine):
    def show_columns(self, table, view, columns, null_texts=()):
        self.store.views[view] = View(table, columns, null_texts)
