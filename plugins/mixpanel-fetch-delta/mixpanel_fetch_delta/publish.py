"""Staged parts become files of the table, in one commit.

A part is copied into the table's folder as it is (in a folder: a second name for one file; in a
bucket: the store copies it). Only files in which a row gives way to another one are written again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import CommitProperties

from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.model import Mode
from mixpanel_fetch_delta.bench import Bench
from mixpanel_fetch_delta.grouping import grouped
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.names import new_file
from mixpanel_fetch_delta.options import Habits
from mixpanel_fetch_delta.repeated import find_superseded, remaining
from mixpanel_fetch_delta.staging import Part, Staging
from mixpanel_fetch_delta.table import ConflictError, NewFile, Table, TableFile, Version

_TRIES = 8


@dataclass(frozen=True)
class Published:
    """What becomes of the staged rows: new in the table, or in the place of older ones."""

    inserted: int
    updated: int


@dataclass(frozen=True)
class Rewritten:
    """Files that come in the place of others, with the rows of those that stay."""

    new: Sequence[NewFile]
    old: Sequence[TableFile]


@dataclass(frozen=True)
class Publication:
    """One publish of one run.

    ``announce``: called before each try to commit with what would hold then; returns what the
    commit carries. ``made``: whether a version has the commit already.
    """

    lake: Lake
    table: Table
    bench: Bench
    staging: Staging
    habits: Habits
    mode: Mode
    announce: Callable[[Published], CommitProperties]
    made: Callable[[Version], bool]

    def through(self) -> None:
        """Commit, again and again while others commit.

        Raises TableExistsError, TableNotFoundError, ConfigError if the table can no longer take
        the rows, StorageError if others left no gap.
        """
        parts = self.staging.parts()
        new = list(self._placed(parts))
        for attempt in range(_TRIES):
            try:
                self._attempt(parts, new)
            except ConflictError:
                # Not all at once again.
                time.sleep(random.uniform(0, 0.05 * 2**attempt))
            else:
                return
        raise StorageError(
            f"cannot publish table {self.table.label}: others commit to it all the time; go on"
            " with --resume when it is quieter"
        )

    def _attempt(self, parts: Sequence[Part], new: Sequence[NewFile]) -> None:
        version = self.table.find()
        if version is not None and self.made(version):
            return  # by another process, which went on with this run, too
        version = self.table.admit(self.mode)
        self.bench.check()
        rows = sum(part.rows for part in parts)
        if version is None:
            self.table.create(new, self.announce(Published(rows, 0)), self.habits.keep)
        elif self.mode == "replace":
            version.commit(new, version.files(), self.announce(Published(rows, 0)))
        else:
            self._merge(version, parts, new)

    def _merge(self, version: Version, parts: Sequence[Part], new: Sequence[NewFile]) -> None:
        superseded, rewritten = self._without_superseded(version, parts)
        rows = sum(part.rows for part in parts)
        updated = min(superseded, rows)
        try:
            announced = self.announce(Published(rows - updated, updated))
            version.commit([*new, *rewritten.new], rewritten.old, announced)
        except BaseException:
            self._take_back(rewritten.new)
            raise

    def _placed(self, parts: Sequence[Part]) -> Iterator[NewFile]:
        """Put parts into the table's folder; nobody sees them there before the commit."""
        for place, part in enumerate(parts):
            self.bench.check()
            if not part.rows:
                continue
            path = new_file()
            if part.repeated:
                sources = [self.staging.local(part.file)]
                made = self.bench.gather(sources, path, remaining([place]))
                self.lake.upload(made.path, f"{self.table.name}/{path}")
            else:
                made = self.bench.described(self.staging.local(part.file))
                self.lake.copy(part.file.name, f"{self.table.name}/{path}")
            yield NewFile(path, made)

    def _without_superseded(self, version: Version, parts: Sequence[Part]) -> tuple[int, Rewritten]:
        """Write files of the table again, without the rows that new ones take the place of."""
        held = version.files()
        paths = [self._local(one) for one in held]
        counts = find_superseded(self.bench, paths, [self.staging.local(one.file) for one in parts])
        old = [held[place] for place in counts]
        places = [place for place in counts if counts[place] != held[place].rows]
        new = []
        for some in grouped(places, lambda one: held[one].size, self.habits.file_size):
            made = self.bench.gather([paths[one] for one in some], new_file(), remaining(some))
            name = made.path.name
            if made.rows:
                self.lake.upload(made.path, f"{self.table.name}/{name}")
                new.append(NewFile(name, made))
        return sum(counts.values()), Rewritten(new, old)

    def _local(self, file: TableFile) -> Path:
        return self.lake.local(f"{self.table.name}/{file.path}", self.bench.workshop)

    def _take_back(self, files: Sequence[NewFile]) -> None:
        self.lake.delete([f"{self.table.name}/{one.path}" for one in files])
