"""What keeps a table fast over a year of runs: few files, and no old ones for ever.

It comes after a publish, in commits of its own; where it fails, the table is as good as before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mixpanel_fetch.errors import FetchInterruptedError, MixpanelFetchError
from mixpanel_fetch_delta import failures
from mixpanel_fetch_delta.bench import Bench
from mixpanel_fetch_delta.grouping import grouped
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.names import new_file
from mixpanel_fetch_delta.options import Habits
from mixpanel_fetch_delta.table import ConflictError, NewFile, Table, TableFile, maintenance

_LOG = logging.getLogger(__name__)
_HOURS = 24
_SMALL = 4  # a file is small that is this many times smaller than a full one


@dataclass(frozen=True)
class Upkeep:
    """The upkeep of one table."""

    lake: Lake
    table: Table
    bench: Bench
    habits: Habits

    def done(self) -> None:
        """Put small files together and delete old ones, where it is time. Raises nothing."""
        try:
            with failures.translated(f"cannot look after table {self.table.label}"):
                self._put_together()
                self._delete_old()
        except ConflictError:
            _LOG.info("table %s is being changed by others; its upkeep waits", self.table.label)
        except FetchInterruptedError:
            _LOG.info("the upkeep of table %s was stopped", self.table.label)
        except MixpanelFetchError as error:
            _LOG.warning("%s; its rows are there all the same", error)

    def _put_together(self) -> None:
        version = self.table.find()
        if version is None or not self.habits.compact_after:
            return
        limit = self.habits.file_size
        small = [one for one in version.files() if one.size * _SMALL < limit]
        if len(small) < self.habits.compact_after:
            return
        self.bench.clear()
        old: list[TableFile] = []
        new: list[NewFile] = []
        try:
            for group in grouped(small, lambda one: one.size, limit):
                if len(group) > 1:
                    new.append(self._one_of(group))
                    old += group
            version.commit(new, old, maintenance(), same_rows=True)
        except BaseException:
            self.lake.delete([self._named(one.path) for one in new])
            raise

    def _one_of(self, group: list[TableFile]) -> NewFile:
        self.bench.check()
        sources = [self.lake.local(self._named(one.path), self.bench.workshop) for one in group]
        path = new_file()
        made = self.bench.gather(sources, path)
        self.lake.upload(made.path, self._named(path))
        return NewFile(path, made)

    def _delete_old(self) -> None:
        """Delete what no version of the last days has, of crashed writers, too."""
        version = self.table.find()
        if version is None or not self.habits.vacuum:
            return
        hours = round(self.habits.keep * _HOURS)
        # What no version has may belong to somebody who is about to commit it.
        full = hours >= _HOURS
        due = version.delta.vacuum(hours, enforce_retention_duration=False, full=full)
        if due:
            version.delta.vacuum(
                hours,
                dry_run=False,
                enforce_retention_duration=False,
                full=full,
                commit_properties=maintenance(),
            )

    def _named(self, path: str) -> str:
        return f"{self.table.name}/{path}"
