"""Sinks that break one promise each: of the versions of profiles."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from .memory import MemoryLoad
from .registering import bites

VERSIONS = "test_versions_tell_what_held_when"
UNCHANGED = "test_unchanged_profiles_add_no_version"


@bites(VERSIONS, "1 days on, the versions must be")
class VersionsNeverEnd(MemoryLoad):
    def end(self, version):
        pass


@bites(VERSIONS, "0 days on, the versions must be")
class VersionsBeginWhenTheyAreStored(MemoryLoad):
    def version(self, row):
        return super().version(row) | {"valid_from": datetime.now(timezone.utc)}


@bites(VERSIONS, "2 days on, the versions must be")
class WhoIsGoneHoldsStill(MemoryLoad):
    def take_in(self, rows, gone):
        super().take_in(rows, [])


@bites(VERSIONS, "must say that versions are kept")
class TheStateIsSilentOnVersions(MemoryLoad):
    def after(self, state, rows):
        return replace(super().after(state, rows), history=False)


@bites(VERSIONS, "must tell of a table whose versions are kept")
class ATableWithVersionsHasNoState(MemoryLoad):
    def remember(self, rows, whole):
        if not self.run.info.sync.history:
            super().remember(rows, whole)


@bites(UNCHANGED, "have 2 versions, not 4")
class EachRunAddsAVersion(MemoryLoad):
    def is_another(self, held, row):
        return True


@bites(UNCHANGED, "have 2 versions, not 3")
class LastSeenAloneMakesAVersion(MemoryLoad):
    def is_another(self, held, row):
        return super().is_another(held, row) or held[2] != row[2]


@bites(UNCHANGED, "have 2 versions, not 3")
class AnotherOrderMakesAVersion(MemoryLoad):
    def is_another(self, held, row):
        return held[1] != row[1]


@bites("test_nobody_ends_in_an_incomplete_run", "after an incomplete run the versions are")
class WhoIsNotInAnIncompleteRunEnds(MemoryLoad):
    def take_in(self, rows, gone):
        everything = self.run.info.sync.kind == "full"
        super().take_in(rows, self.absent() if everything else gone)


@bites("test_who_comes_back_begins_again", "2 days on, there are versions of ab, not of a")
class WhoComesBackHasNoVersion(MemoryLoad):
    def take_in(self, rows, gone):
        known = {one["distinct_id"] for one in self.store.versions.get(self.table, ())}
        live = {*self.live()}
        super().take_in([row for row in rows if row[0] in live or row[0] not in known], gone)
