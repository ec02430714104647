"""Staging: where pages land, in any order, until they are published.

Each page is a small file at first, durable at once. When enough of them are there, they are put
together in a part: a file that a table may have as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from mixpanel_fetch_delta.bench import Bench, ParquetFile
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.landed import (
    PageEntry,
    StagedFile,
    look,
    manifest,
    manifest_of,
    note_of,
    page_file,
)
from mixpanel_fetch_delta.names import RunPlaces
from mixpanel_fetch_delta.repeated import find_repeated
from mixpanel_fetch_delta.rows import Rows

# Their names make the name of a file, which may have 255 characters.
_PAGES_A_FILE = 8
# What is alike in many pages takes less room in one file. So that no part waits for too many pages,
# no more than this is believed.
_SHRINKS_TO = 0.25


@dataclass(frozen=True)
class Part:
    """A part, and how many of its rows give way to a later page."""

    file: StagedFile
    repeated: int

    @property
    def rows(self) -> int:
        """The rows that go into the table."""
        return self.file.rows - self.repeated


class Staging:
    """One run's staging. ``file_size``: about how many bytes a part gets."""

    def __init__(self, lake: Lake, places: RunPlaces, bench: Bench, file_size: int) -> None:
        self._lake, self._places, self._bench = lake, places, bench
        self._file_size = file_size
        self._shrinks = 1.0
        found = look(lake, places)
        lake.delete(found.stray)
        self._parts = list(found.parts)
        self._loose = list(found.loose)
        self.pages = found.pages
        """What has landed here, by page."""
        self._repeated: list[Part] | None = None

    def land(self, pages: Sequence[Rows]) -> None:
        """Put pages where they outlive this process, a few in one file."""
        self._repeated = None
        for first in range(0, len(pages), _PAGES_A_FILE):
            self._land(pages[first : first + _PAGES_A_FILE])
        if sum(one.size for one in self._loose) * self._shrinks >= self._file_size:
            self._put_together()

    def parts(self) -> Sequence[Part]:
        """Put together what is left, and return the parts with what repeats in each."""
        self._put_together()
        if self._repeated is None:
            files = [self.local(part) for part in self._parts]
            counts = find_repeated(self._bench, files, self._spans())
            self._repeated = [
                Part(part, counts.get(place, 0)) for place, part in enumerate(self._parts)
            ]
        return self._repeated

    def local(self, staged: StagedFile) -> Path:
        """Return the local path of a part."""
        return self._lake.local(staged.name, self._bench.workshop)

    def drop(self) -> None:
        """Take everything away."""
        self._lake.delete([name for name, _ in self._lake.files(self._places.staging)])
        self._parts, self._loose, self.pages, self._repeated = [], [], {}, None

    def _land(self, pages: Sequence[Rows]) -> None:
        for page in pages:
            if page.note:
                self._lake.put(note_of(self._places, page.page), page.note.encode())
        entries = tuple(PageEntry(page.page, page.received, len(page)) for page in pages)
        name = page_file(self._places, entries)
        path = self._bench.write(pages)
        size = path.stat().st_size
        self._lake.upload(path, name)
        self._loose.append(StagedFile(name, size, entries))
        self.pages |= {entry.index: entry for entry in entries}

    def _put_together(self) -> None:
        loose = sorted(self._loose, key=lambda one: one.pages[0].index)
        full = [one for one in loose if one.rows]
        if full:
            made = self._gathered(full)
            shrunk = made.size / sum(one.size for one in full)
            self._shrinks = max(_SHRINKS_TO, min(1.0, shrunk))
            # An empty page has landed, too: the manifest says so.
            pages = tuple(page for one in (*full, *_without(loose, full)) for page in one.pages)
            name = f"{self._places.parts}/{made.path.name}"
            self._lake.upload(made.path, name)
            self._lake.put(manifest_of(name), manifest(pages))
            self._parts.append(StagedFile(name, made.size, pages))
            self._loose.clear()
            self._lake.delete([one.name for one in loose])
            for one in loose:  # what a bucket has left here
                (self._bench.workshop / one.name.rpartition("/")[2]).unlink(missing_ok=True)
            self._bench.clear()

    def _gathered(self, files: Sequence[StagedFile]) -> ParquetFile:
        sources = [self.local(one) for one in files]
        return self._bench.gather(sources, f"{uuid4().hex}.parquet")

    def _spans(self) -> Iterator[tuple[int, int, int]]:
        for place, part in enumerate(self._parts):
            first = 0
            for page in part.pages:
                if page.kept:
                    yield place, first, page.index
                    first += page.kept


def drop_staging(lake: Lake, places: RunPlaces) -> None:
    """Take away what a run has staged."""
    for folder in (places.staging, places.work):
        lake.delete([name for name, _ in lake.files(folder)])


def _without(files: Sequence[StagedFile], some: Sequence[StagedFile]) -> list[StagedFile]:
    return [one for one in files if one not in some]
