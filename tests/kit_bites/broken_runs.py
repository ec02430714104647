"""Sinks that break one promise each: of runs from factory to close."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from .biting import Bite
from .memory import (
    MemoryEngine,
    MemoryLoad,
    StreamEngine,
    case_of,
)
from .registering import BITES, bites

BITES.append(
    Bite(
        "claims merge without keyed",
        lambda: case_of(capabilities=frozenset({"merge"})),
        "test_the_capabilities_agree",
        "merge must claim keyed",
    )
)
BITES.append(
    Bite(
        "claims stream and replace",
        lambda: case_of(StreamEngine, frozenset({"stream", "replace"})),
        "test_the_capabilities_agree",
        "neither replace nor resume",
    )
)
BITES.append(
    Bite(
        "claims resume and has no runs",
        lambda: case_of(StreamEngine, frozenset({"resume"})),
        "test_the_capabilities_agree",
        "must have interrupted, runs and discard",
    )
)


@bites(
    "test_what_is_not_claimed_is_refused_at_once",
    "before anything is written",
    part="engine",
    capabilities=frozenset(),
)
class TheFactoryEmptiesTheTable(MemoryEngine):
    def __init__(self, store, location=""):
        super().__init__(store, location)
        store.tables = {name: [] for name in store.tables}


class SaysNothing(MemoryEngine):
    """Handed in, claims nothing, and takes every mode."""

    def check(self, table, mode):
        pass


def handed_in_without_a_claim():
    case = case_of()
    store = case.rows.__self__

    def make():
        engine = SaysNothing(store)
        engine.load = MemoryLoad
        return _WithoutClaims(engine)

    return replace(case, destination="", spec=None, unusable=None, engine=make)


class _WithoutClaims:
    def __init__(self, engine):
        self._engine = engine

    def begin(self, table, mode, run):
        return self._engine.begin(table, mode, run)

    def close(self):
        pass


BITES.append(
    Bite(
        "takes modes that it does not claim",
        handed_in_without_a_claim,
        "test_what_is_not_claimed_is_refused_at_once",
        "must refuse it with a ConfigError; nothing was raised",
    )
)


@bites("test_the_factory_opens_nothing", "1 files or sockets more", part="engine")
class TheFactoryOpensAFile(MemoryEngine):
    def __init__(self, store, location=""):
        super().__init__(store, location)
        self.file = Path("/dev/null").open("rb")  # noqa: SIM115

    def close(self):
        self.file.close()


@bites("test_the_factory_opens_nothing", "the factory must make no table", part="engine")
class TheFactoryMakesTheTable(MemoryEngine):
    def __init__(self, store, location=""):
        super().__init__(store, location)
        store.tables.setdefault("profiles", [])


@bites("test_check_makes_nothing", "check must make no table", part="engine")
class CheckMakesATable(MemoryEngine):
    def check(self, table, mode):
        self.store.tables.setdefault(table, [])


@bites("test_a_run_of_one_page", "2 rows missing: 'a', 'b'")
class CommitPublishesNothing(MemoryLoad):
    def publish(self, old, rows):
        super().publish(old, [])


@bites("test_a_run_of_one_page", "there is no table")
class CommitMakesNoTable(MemoryLoad):
    def publish(self, old, rows):
        pass


@bites("test_a_run_of_many_pages", "rows missing: '10-0'")
class TenPagesAreEnough(MemoryLoad):
    def keep(self, page_index, rows):
        if page_index < 10:
            super().keep(page_index, rows)


@bites(
    (
        "test_a_run_without_rows_makes_an_empty_table",
        "test_a_run_without_pages_makes_an_empty_table",
    ),
    "must leave an empty table, not None",
)
class NoTableWithoutRows(MemoryLoad):
    def publish(self, old, rows):
        if rows:
            super().publish(old, rows)


@bites("test_an_empty_batch_is_a_page", r"write\(1, batch of 0\) must land the page")
class AnEmptyBatchIsRefused(MemoryLoad):
    def write(self, page_index, batch):
        if not batch:
            raise IndexError("no rows")
        return super().write(page_index, batch)


@bites("test_an_empty_batch_is_a_page", "must return the rows landed: 0 for page 1, not None")
class AnEmptyBatchIsNotCounted(MemoryLoad):
    def write(self, page_index, batch):
        return super().write(page_index, batch) if batch else None


@bites("test_pages_come_in_any_order", "pages 2, 0, 1 must store the same")
class PagesAreTakenToComeInOrder(MemoryLoad):
    def keep(self, page_index, rows):
        if page_index > max(self.run.pages, default=-1):
            super().keep(page_index, rows)


@bites("test_the_report_counts_the_rows_of_the_table", "commit says total_rows=3, and 6 rows")
class PagesAreCountedAsRows(MemoryLoad):
    def report(self, rows, updated):
        return replace(super().report(rows, updated), total_rows=len(self.run.pages))


@bites("test_several_pages_at_once_land_like_one_by_one", "must return the rows of each page")
class SeveralPagesAreCountedTogether(MemoryLoad):
    def write_pages(self, pages):
        return [sum(super(type(self), self).write_pages(pages))]


@bites("test_several_pages_at_once_land_like_one_by_one", "must land what write lands")
class OfSeveralPagesOneLands(MemoryLoad):
    def write_pages(self, pages):
        self.write(*pages[0])
        return [len(batch) for _, batch in pages]


@bites("test_the_input_is_not_changed", "must not change its batch")
class TheBatchIsSorted(MemoryLoad):
    def write(self, page_index, batch):
        batch.distinct_ids.sort()
        return super().write(page_index, batch)


@bites(
    "test_calls_come_from_another_thread_than_the_factorys",
    "must serve runs in threads other than the factory's; it raised ProgrammingError",
    part="engine",
)
class TheEngineBelongsToTheFactorysThread(MemoryEngine):
    def __init__(self, store, location=""):
        super().__init__(store, location)
        self.thread = threading.get_ident()

    def begin(self, table, mode, run):
        if threading.get_ident() != self.thread:
            raise ProgrammingError("made in another thread")
        return super().begin(table, mode, run)


class ProgrammingError(Exception):
    """As sqlite3 raises it."""


@bites("test_close_may_come_twice", "close must work without a run, and twice", part="engine")
class CloseComesOnce(MemoryEngine):
    closed = False

    def close(self):
        if self.closed:
            raise ValueError("closed already")
        self.closed = True


@bites("test_close_may_come_twice", "close must leave what was committed", part="engine")
class CloseTakesTheTableBack(MemoryEngine):
    def close(self):
        self.store.tables = {name: [] for name in self.store.tables}


@bites("test_close_lets_go_of_everything", "1 files or sockets are left open", part="engine")
class CloseLeavesAFileOpen(MemoryEngine):
    def begin(self, table, mode, run):
        self.files.append(Path("/dev/null").open("rb"))  # noqa: SIM115
        return super().begin(table, mode, run)

    files: list = []  # noqa: RUF012
