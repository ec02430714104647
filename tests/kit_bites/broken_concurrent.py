"""Sinks that break one promise each: of runs beside one another."""

from __future__ import annotations

from mixpanel_fetch.errors import StorageError

from .memory import MemoryEngine, MemoryLoad
from .registering import bites

TOGETHER = "test_runs_into_two_tables_land_at_the_same_time"
ABORT = "test_a_run_that_is_aborted_leaves_the_one_beside_it_alone"


@bites(TOGETHER, "at the same time; it raised StorageError: another run is", part="engine")
class HasOneWriter(MemoryEngine):
    def begin(self, table, mode, run):
        writers = self.store.__dict__.setdefault("writers", [])
        writers.append(table)
        if writers[0] != table:
            raise StorageError("another run is under way")
        return super().begin(table, mode, run)


@bites(TOGETHER, "rows missing|rows too many|is .*, not")
class StagesPagesOfAllRunsInOnePlace(MemoryLoad):
    def keep(self, page_index, rows):
        for run in self.store.runs:
            run.pages[page_index] = rows


@bites(ABORT, "the abort of a run must not touch one that lands in another table")
class AbortEmptiesTheStaging(MemoryLoad):
    def abort(self):
        super().abort()
        for run in self.store.runs:
            run.pages = {}
