"""Sinks that break one promise each: of tables that are kept in step."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from mixpanel_fetch.sync import SyncState

from .memory import MemoryEngine, MemoryLoad
from .registering import bites

STATE = "test_a_table_without_a_sync_has_no_state"
REMEMBERED = "test_a_complete_full_run_is_remembered"
CURSOR = "test_the_cursor_only_moves_on"
INCOMPLETE = "test_an_incomplete_run_moves_nothing"
DIFFERS = "test_only_what_differs_is_updated"
COUNTED = "test_who_is_gone_is_counted_before"
ORDERED = "test_who_is_gone_goes_as_ordered"
BACK = "test_who_comes_back_is_live_again"
GOES_ON = "test_an_interrupted_sync_goes_on"


@bites(STATE, "was never kept in step has no state", part="engine")
class EveryTableHasAState(MemoryEngine):
    def sync_state(self, table):
        return super().sync_state(table) or SyncState("")


@bites(STATE, "sync_state must make no table", part="engine")
class AskingForTheStateMakesTheTable(MemoryEngine):
    def sync_state(self, table):
        self.store.tables.setdefault(table, [])
        return super().sync_state(table)


@bites(REMEMBERED, "not None")
class NothingIsRemembered(MemoryLoad):
    def remember(self, rows, whole):
        pass


@bites(REMEMBERED, "after a complete full run")
class TheCursorIsTheLastRows(MemoryLoad):
    def newest(self, rows):
        return rows[-1][2] if rows else None


@bites(REMEMBERED, "after a complete full run")
class AFullRunIsRememberedByItsEnd(MemoryLoad):
    def after(self, state, rows):
        return replace(super().after(state, rows), full_at=datetime.now(timezone.utc))


@bites(CURSOR, "rows are all older|of 0 rows")
class TheCursorFollowsEachRun(MemoryLoad):
    def after(self, state, rows):
        return replace(super().after(state, rows), cursor=self.newest(rows))


@bites(CURSOR, "after an incremental run")
class AnIncrementalRunCountsAsFull(MemoryLoad):
    def after(self, state, rows):
        return replace(super().after(state, rows), full_at=self.run.info.started_at)


@bites(INCOMPLETE, "after an incomplete run, sync_state")
class AnIncompleteRunIsRemembered(MemoryLoad):
    def remember(self, rows, whole):
        super().remember(rows, True)


@bites(INCOMPLETE, "rows of an incomplete run must be there")
class AnIncompleteRunIsLost(MemoryLoad):
    def commit_in_step(self, *, complete):
        if not complete:
            self.run.pages = {}
        return super().commit_in_step(complete=complete)


@bites(INCOMPLETE, "nobody is gone after an incomplete run")
class WhoIsNotInAnIncompleteRunIsGone(MemoryLoad):
    def gone(self, whole, order):
        return super().gone(True, order)


@bites("test_replace_forgets_the_state", "has no state")
class ReplaceKeepsTheState(MemoryLoad):
    def forget(self):
        pass


@bites(DIFFERS, r"not \(1, 3, 1, 5\)")
class TheOrderOfPropertiesIsADifference(MemoryLoad):
    def content(self, row):
        return row[1]


@bites(DIFFERS, r"not \(1, 1, 3, 5\)")
class LastSeenIsNoDifference(MemoryLoad):
    def differs(self, held, row):
        return super().differs((*held[:2], None), (*row[:2], None))


@bites(DIFFERS, r"not \(1, 4, 0, 5\)")
class WhoCameIsUpdated(MemoryLoad):
    def differs(self, held, row):
        return True


@bites(COUNTED, "must count; it raised KeyError")
class NobodyCountsWithoutATable(MemoryLoad):
    def count_gone(self):
        self.store.tables[self.table]
        return super().count_gone()


@bites(COUNTED, "2 of 3 rows did not come")
class AllWhoAreThereAreCounted(MemoryLoad):
    def count_gone(self):
        _, rows = super().count_gone()
        return rows, rows


@bites(COUNTED, "count_gone must leave the table as it was")
class WhoIsCountedIsMarked(MemoryLoad):
    def count_gone(self):
        counted = super().count_gone()
        self.take_out(self.absent(), "mark")
        return counted


@bites(ORDERED, "delete is mark, the table must hold abc")
class WhoIsToBeMarkedIsTakenOut(MemoryLoad):
    def take_out(self, gone, delete):
        super().take_out(gone, "hard" if delete == "mark" else delete)


@bites(ORDERED, "delete is hard, the table must hold a")
class WhoIsToBeTakenOutIsMarked(MemoryLoad):
    def take_out(self, gone, delete):
        super().take_out(gone, "mark" if delete == "hard" else delete)


@bites(ORDERED, "delete is ignore, the report must say 0 gone")
class WhoIsToBeLeftAloneIsMarked(MemoryLoad):
    def gone(self, whole, order):
        return super().gone(whole, replace(order, delete="mark"))

    def take_out(self, gone, delete):
        super().take_out(gone, "mark" if delete == "ignore" else delete)


@bites(ORDERED, "count_gone must say|is not gone again|deleted_at must be")
class WhoIsGoneGoesAgain(MemoryLoad):
    def live(self):
        return [row[0] for row in self.store.tables.get(self.table, ())]


@bites(BACK, "1 row, not 0")
class WhoComesBackIsNoUpdate(MemoryLoad):
    def differs(self, held, row):
        return self.content(held) != self.content(row) or held[2] != row[2]


@bites(BACK, "live again: deleted_at must be {}")
class WhoComesBackIsMarkedStill(MemoryLoad):
    def revive(self, distinct_id):
        pass


@bites("test_nobody_is_gone_after_an_incremental_run", "nobody is gone after an incremental run")
class WhoIsNotInAnIncrementalRunIsGone(MemoryLoad):
    def gone(self, whole, order):
        return super().gone(whole, replace(order, kind="full"))


@bites(GOES_ON, "must be as it was: deleted_at", broken="suspend marks who has not come yet")
class SuspendMarks(MemoryLoad):
    def write(self, page_index, batch):
        written = super().write(page_index, batch)
        if page_index + 1 < self.run.info.total_pages:
            self.take_out(self.absent(), "mark")
        return written


@bites(GOES_ON, "with its order, not None", part="engine")
class TheOrderIsForgotten(MemoryEngine):
    def interrupted(self, table):
        run = super().interrupted(table)
        return run and replace(run, fingerprint={})


@bites(GOES_ON, "see that 1 row is gone, not 0")
class WhatGoesOnIsNoWhole(MemoryLoad):
    def __init__(self, engine, run):
        super().__init__(engine, run)
        self.went_on = bool(run.pages)

    def is_whole(self, complete):
        return complete and not self.went_on


@bites("test_the_rest_of_a_published_sync_is_no_whole", "a part of the run was public before")
class TheRestOfASyncIsAWhole(MemoryLoad):
    def is_whole(self, complete):
        return complete
