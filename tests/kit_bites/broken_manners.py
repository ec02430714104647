"""Sinks that break one promise each: of whole fetches and of secrets."""

from __future__ import annotations

from dataclasses import replace

from mixpanel_fetch.errors import ConfigError, StorageError

from .memory import (
    MemoryEngine,
    MemoryLoad,
)
from .registering import bites


@bites("test_a_whole_fetch_stores_every_profile", "must store every profile as it came")
class TheLastRowOfAPageIsLost(MemoryLoad):
    def keep(self, page_index, rows):
        super().keep(page_index, rows[:-1])


@bites("test_a_whole_fetch_stores_every_profile", "must end well|must work")
class SeveralPagesFail(MemoryLoad):
    def write_pages(self, pages):
        raise StorageError("too many")


@bites("test_a_fetch_that_stops_leaves_the_table_as_it_was", "must leave the table as it was")
class SuspendPublishes(MemoryLoad):
    def suspend(self):
        self.commit()


@bites("test_a_stopped_fetch_is_resumed", "had landed, and 5 were asked for")
class NoPageIsKnownToHaveLanded(MemoryLoad):
    def landed_pages(self):
        return frozenset()


@bites("test_no_secret_is_shown_by_the_engine", "must not show a secret", part="engine")
class ReprShowsTheLocation(MemoryEngine):
    def __repr__(self):
        return f"Engine({self.location})"


@bites("test_no_secret_is_shown_by_an_error", "words of an error must not show", part="engine")
class ErrorsShowTheLocation(MemoryEngine):
    def check(self, table, mode):
        if "@down" in self.location:
            raise ConfigError(f"cannot connect to {self.location}")
        super().check(table, mode)


@bites("test_no_secret_is_shown_by_an_error", "words of an error must not show", part="engine")
class TheCauseOfAnErrorShowsTheLocation(MemoryEngine):
    def check(self, table, mode):
        try:
            if "@down" in self.location:
                raise OSError(self.location)
        except OSError as error:
            raise ConfigError("cannot connect") from error
        super().check(table, mode)


@bites("test_no_secret_is_stored", "what is stored must not show a secret", part="engine")
class TheLocationIsStored(MemoryEngine):
    def begin(self, table, mode, run):
        return super().begin(table, mode, replace(run, destination=self.location))


@bites("test_an_unusable_destination_is_refused", "nothing was raised", part="engine")
class AnUnusableDestinationIsNotNoticed(MemoryEngine):
    def check(self, table, mode):
        pass


@bites("test_an_unusable_destination_is_refused", "not OSError: refused", part="engine")
class AnUnusableDestinationIsAnyError(MemoryEngine):
    def check(self, table, mode):
        raise OSError("refused")
