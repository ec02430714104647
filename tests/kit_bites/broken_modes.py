"""Sinks that break one promise each: of modes, and of rows that share an id."""

from __future__ import annotations

import json
from dataclasses import replace

from mixpanel_fetch.errors import StorageError

from .memory import (
    WITHOUT_RESUME,
    MemoryEngine,
    MemoryLoad,
    StreamEngine,
    StreamLoad,
)
from .registering import bites


@bites(
    ("test_create_refuses_a_table_that_is_there", "test_append_refuses_a_table_that_is_missing"),
    ("with a TableExistsError; nothing was raised", "with a TableNotFoundError; nothing was"),
    part="engine",
)
class AnyTableWillDo(MemoryEngine):
    def check(self, table, mode):
        pass


@bites("test_create_refuses_a_table_that_is_there", "it raised ValueError", part="engine")
class ATableThatIsThereIsAnotherError(MemoryEngine):
    def check(self, table, mode):
        if mode == "create" and table in self.store.tables:
            raise ValueError("there already")


@bites("test_create_refuses_a_table_that_is_there", "must be one line", part="engine")
class ErrorsAreSeveralLines(MemoryEngine):
    def check(self, table, mode):
        try:
            super().check(table, mode)
        except Exception as error:
            raise type(error)(f"{error}\nDETAIL: Key (a)") from None


@bites("test_append_adds_to_what_is_there", "append must keep the rows that are there")
class AppendForgetsWhatWasThere(MemoryLoad):
    def publish(self, old, rows):
        super().publish(None, rows)


@bites(
    "test_merge_is_an_upsert_of_whole_rows",
    "merge must keep rows that did not come, and replace those that did as a whole: the row 'both'",
)
class MergeMixesOldAndNewProperties(MemoryLoad):
    def publish(self, old, rows):
        before = {row[0]: json.loads(row[1]) for row in old or ()}
        mixed = [
            (i, json.dumps({**before.get(i, {}), **json.loads(p)}).encode(), s) for i, p, s in rows
        ]
        super().publish(old, mixed)


@bites("test_replace_leaves_nothing_of_the_old_rows", "replace must leave the rows of its run")
class ReplaceIsAMerge(MemoryLoad):
    def publish(self, old, rows):
        super().publish(self.store.tables.get(self.table), rows)


@bites("test_a_missing_table_is_made", "must make a missing table", part="engine")
class AMissingTableIsMissed(MemoryEngine):
    def check(self, table, mode):
        if mode != "create" and table not in self.store.tables:
            raise KeyError(table)
        super().check(table, mode)


@bites("test_twice_is_once", "of the same pages twice must equal once: .* rows too many")
class WhatComesAgainIsAdded(MemoryLoad):
    def publish(self, old, rows):
        self.store.tables[self.table] = [*self.store.tables.get(self.table, ()), *rows]


@bites("test_the_report_tells_new_rows_from_old", "must say total_rows, inserted, updated")
class EveryRowIsSaidToBeUpdated(MemoryLoad):
    def report(self, rows, updated):
        return super().report(rows, len(rows))


@bites("test_nothing_shows_before_commit", "must show before commit")
class PagesShowAtOnce(MemoryLoad):
    def keep(self, page_index, rows):
        super().keep(page_index, rows)
        self.store.tables[self.table] = self.unique(self.staged())


@bites("test_nothing_shows_before_commit", "must show before commit", part="engine")
class BeginEmptiesTheTable(MemoryEngine):
    def begin(self, table, mode, run):
        load = super().begin(table, mode, run)
        self.store.tables[table] = []
        return load


@bites(
    "test_a_stream_shows_its_rows_at_once",
    "must show a page's rows when write returns",
    base=StreamEngine,
    unusable=None,
)
class AStreamWaitsForCommit(StreamLoad):
    def write(self, page_index, batch):
        self.waiting = batch
        return len(batch)


@bites("test_abort_leaves_the_table_as_it_was", "after abort of a run in mode")
class AbortPublishes(MemoryLoad):
    def abort(self):
        self.commit()


@bites("test_abort_leaves_the_table_as_it_was", "must not bring rows of one that ended in abort")
class AbortLeavesTheStaging(MemoryLoad):
    left: dict = {}  # noqa: RUF012

    def __init__(self, engine, run):
        super().__init__(engine, run)
        run.pages.update(self.left.pop(id(self.store), {}))

    def abort(self):
        self.left[id(self.store)] = {index + 100: rows for index, rows in self.run.pages.items()}
        super().abort()


@bites(
    "test_an_interrupted_run_leaves_the_table_as_it_was",
    "the table must be as it was",
    capabilities=WITHOUT_RESUME,
)
class OnlyAbortTakesBack(MemoryLoad):
    def __init__(self, engine, run):
        super().__init__(engine, run)
        self.before = self.store.tables.get(self.table)

    def keep(self, page_index, rows):
        super().keep(page_index, rows)
        self.store.tables[self.table] = self.unique([*(self.before or ()), *self.staged()])

    def suspend(self):
        pass


@bites(
    "test_an_error_in_write_spoils_no_other_run",
    "must store its own rows only, not .*first",
)
class AbortLeavesRowsForTheNextRun(MemoryLoad):
    left: dict = {}  # noqa: RUF012

    def commit(self):
        self.run.pages[99] = self.left.pop(id(self.store), [])
        return super().commit()

    def abort(self):
        self.left[id(self.store)] = self.staged()
        super().abort()


@bites("test_an_error_in_write_spoils_no_other_run", "abort and close must work after an error")
class AfterAnErrorAbortFails(MemoryLoad):
    def write(self, page_index, batch):
        self.busy = True
        rows = super().write(page_index, batch)
        self.busy = False
        return rows

    def abort(self):
        if self.busy:
            raise RuntimeError("a transaction is open")
        super().abort()


@bites("test_count_knows_an_empty_table_from_a_full_one", "where there is no table", part="engine")
class NoTableCountsAsEmpty(MemoryEngine):
    def count(self, table):
        return len(self.store.tables.get(table, ()))


@bites("test_count_knows_an_empty_table_from_a_full_one", "must not be 0", part="engine")
class EveryTableCountsAsEmpty(MemoryEngine):
    def count(self, table):
        return 0 if table in self.store.tables else None


@bites("test_interrupt_may_come_at_any_time", "where no call is running", part="engine")
class InterruptNeedsAConnection(MemoryEngine):
    def interrupt(self):
        self.connection.cancel()


# Duplicates


@bites(
    ("test_of_rows_that_share_an_id_the_later_page_wins", "test_the_later_row_of_a_page_wins"),
    ("the row of the later page must win, whichever", "the later must win"),
)
class TheFirstWins(MemoryLoad):
    def unique(self, rows):
        return super().unique(list(reversed(rows)))


@bites("test_of_rows_that_share_an_id_the_later_page_wins", "whichever page comes first")
class TheLastToComeWins(MemoryLoad):
    def staged(self):
        return [row for rows in self.run.pages.values() for row in rows]


@bites("test_the_later_row_of_a_page_wins", "a page may hold an id twice")
class AnIdComesOnceAPage(MemoryLoad):
    def keep(self, page_index, rows):
        if len({row[0] for row in rows}) < len(rows):
            raise StorageError("ON CONFLICT cannot affect a row twice")
        super().keep(page_index, rows)

    def write(self, page_index, batch):
        self.keep(page_index, self.rows_of(batch))
        return len(batch)


@bites(
    ("test_duplicates_are_counted", "test_count_duplicates_counts_them_before_commit"),
    ("duplicate_rows=2 of six rows with four ids, not", "commit must still say 2 duplicates"),
)
class DuplicatesAreNotCounted(MemoryLoad):
    def report(self, rows, updated):
        return replace(super().report(rows, updated), duplicate_rows=0)


@bites("test_count_duplicates_counts_them_before_commit", "count_duplicates must say 2")
class DuplicatesAreIds(MemoryLoad):
    def count_duplicates(self):
        return len(self.unique(self.staged()))


@bites(
    "test_a_sink_without_keys_keeps_every_row",
    "must keep every row",
    capabilities=frozenset({"append"}),
)
class RowsAreUniqueWithoutAClaim(MemoryLoad):
    def unique(self, rows):
        return list({row[0]: row for row in rows}.values())
