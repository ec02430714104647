"""Sinks that break one promise each: of runs that are interrupted."""

from __future__ import annotations

from dataclasses import replace

from mixpanel_fetch.errors import ConfigError

from .memory import (
    MemoryEngine,
    MemoryLoad,
)
from .registering import bites


@bites(
    "test_nothing_is_known_of_an_unused_store", "must answer where no run has been", part="engine"
)
class AnUnusedStoreHasNoLedger(MemoryEngine):
    def runs(self):
        return [self.store.runs[-1].record()]


class _Volatile(MemoryLoad):
    """Keeps pages in the load, and not in the store."""

    def __init__(self, engine, run):
        super().__init__(engine, run)
        self.pending = {}

    def keep(self, page_index, rows):
        self.pending[page_index] = rows

    def suspend(self):
        self.run.pages |= self.pending
        super().suspend()

    def commit(self):
        self.run.pages |= self.pending
        return super().commit()


@bites(
    ("test_an_interrupted_run_is_told_of", "test_an_interrupted_run_goes_on"),
    ("pages 0 and 2 have landed, runs says", r"landed_pages says \[\], not \[0, 2\]"),
)
class PagesAreDurableAtTheEndOnly(_Volatile):
    pass


@bites(
    ("test_an_interrupted_run_is_told_of", "test_an_interrupted_run_goes_on"),
    ("interrupted says that there is none", r"landed_pages says \[\], not \[0, 2\]"),
)
class SuspendIsAbort(MemoryLoad):
    def suspend(self):
        self.abort()


@bites("test_an_interrupted_run_is_told_of", "transforms is .*, not", part="engine")
class TransformsAreNotRemembered(MemoryEngine):
    def interrupted(self, table):
        info = super().interrupted(table)
        return info and replace(info, transforms=())


@bites("test_the_note_of_a_page_is_kept", "must give back the notes of pages")
class NotesAreForgotten(MemoryLoad):
    def note(self, page_index, note):
        pass


@bites("test_an_interrupted_run_goes_on", "must go on after")
class StagedRowsAreLost(MemoryLoad):
    def __init__(self, engine, run):
        super().__init__(engine, run)
        run.pages = {index: [] for index in run.pages}


@bites("test_an_empty_page_has_landed", r"landed_pages says \[0\], not \[0, 1\]")
class APageLandsWithItsRows(MemoryLoad):
    def keep(self, page_index, rows):
        if rows:
            super().keep(page_index, rows)


@bites("test_a_page_that_failed_has_not_landed", r"landed_pages says \[0, 1\], not \[0\]")
class APageIsNotedBeforeItLands(MemoryLoad):
    def write(self, page_index, batch):
        self.run.pages[page_index] = []
        return super().write(page_index, batch)


@bites("test_a_run_may_be_interrupted_again", r"landed_pages says \[0\], not \[0, 1\]")
class TheSecondTimeForgetsTheFirst(MemoryLoad):
    def __init__(self, engine, run):
        super().__init__(engine, run)
        self.before = set(run.pages)

    def keep(self, page_index, rows):
        for index in self.before:
            self.run.pages.pop(index, None)
        super().keep(page_index, rows)


@bites("test_pages_of_another_session_are_dropped", "must drop the pages", part="engine")
class SessionsAreMixed(MemoryEngine):
    def begin(self, table, mode, run):
        earlier = self.open_run(run.run_id)
        return super().begin(table, mode, run) if earlier is None else self.load(self, earlier)


@bites("test_a_new_run_takes_the_place_of_the_interrupted", "still tells of the old", part="engine")
class TheOldestRunIsToldOf(MemoryEngine):
    def supersede(self, table):
        pass

    def interrupted(self, table):
        return next((run.info for run in self.store.runs if run.status != "complete"), None)


@bites("test_another_table_has_no_interrupted_run", "of the table asked about only", part="engine")
class RunsAreOfAnyTable(MemoryEngine):
    def interrupted(self, table):
        return next((run.info for run in reversed(self.store.runs)), None)


@bites(
    "test_a_run_that_ended_is_not_interrupted",
    "(must not be told of as interrupted|must be complete)",
)
class EveryRunStaysInterrupted(MemoryLoad):
    def finish(self, report):
        super().finish(report)
        self.run.status = "running"

    def abort(self):
        super().abort()
        self.run.status = "running"


@bites("test_a_partial_run_can_be_completed", "must be partial, with page 1 missing")
class EveryCommitIsComplete(MemoryLoad):
    def finish(self, report):
        super().finish(report)
        self.run.status = "complete"


@bites("test_a_partial_run_can_be_completed", "must be added to the others")
class TheRestOfAPartialRunReplacesIt(MemoryLoad):
    def publish(self, old, rows):
        super().publish(None if self.run.public else old, rows)


@bites("test_discard_drops_an_interrupted_run", "told of as interrupted", part="engine")
class DiscardDoesNothing(MemoryEngine):
    def discard(self, run_id):
        pass


@bites("test_discard_drops_an_interrupted_run", "must raise a ConfigError", part="engine")
class DiscardTakesAnyRun(MemoryEngine):
    def discard(self, run_id):
        try:
            super().discard(run_id)
        except ConfigError:
            return


@bites("test_the_newest_run_comes_first", "newest first", part="engine")
class TheOldestRunComesFirst(MemoryEngine):
    def runs(self):
        return super().runs()[::-1]
