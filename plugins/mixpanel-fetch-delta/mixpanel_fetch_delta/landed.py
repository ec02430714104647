"""What has landed of a run: a listing tells, so that nothing has to be kept in step with it.

A page's file is named after the pages in it: ``12.1000.998_13.1000.1000.parquet`` holds page 12,
of which 1000 rows came and 998 are there, and page 13. Files of pages are put together in parts;
a part counts once its manifest, a JSON document of the same name, is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.names import RunPlaces


@dataclass(frozen=True)
class PageEntry:
    """A page: the rows that came, and those that are there, one an id."""

    index: int
    received: int
    kept: int


@dataclass(frozen=True)
class StagedFile:
    """A file of pages, or a part; ``pages`` in the order of their rows. ``size`` in bytes."""

    name: str
    size: int
    pages: tuple[PageEntry, ...]

    @property
    def rows(self) -> int:
        """The rows in it."""
        return sum(page.kept for page in self.pages)


@dataclass(frozen=True)
class Landed:
    """Everything of a run. ``stray``: what a kill left behind, and nobody needs."""

    parts: tuple[StagedFile, ...] = ()
    loose: tuple[StagedFile, ...] = ()
    noted: tuple[int, ...] = ()
    stray: tuple[str, ...] = field(default=(), compare=False)

    @property
    def pages(self) -> dict[int, PageEntry]:
        """The pages by index."""
        return {page.index: page for one in (*self.parts, *self.loose) for page in one.pages}


def look(lake: Lake, places: RunPlaces) -> Landed:
    """Return what is there of a run. Changes nothing."""
    listed = lake.files(places.staging)
    names = {name for name, _ in listed}
    parts = tuple(
        StagedFile(name, size, tuple(_manifest(lake, name)))
        for name, size in listed
        if name.startswith(f"{places.parts}/") and manifest_of(name) in names
    )
    within = {page.index for part in parts for page in part.pages}
    loose = tuple(
        one
        for one in (
            StagedFile(name, size, tuple(_pages_in(name)))
            for name, size in listed
            if name.startswith(f"{places.pages}/")
        )
        if not any(page.index in within for page in one.pages)
    )
    noted = tuple(
        int(name.rpartition("/")[2].partition(".")[0])
        for name, _ in listed
        if name.startswith(f"{places.notes}/")
    )
    known = {one.name for one in (*parts, *loose)} | {manifest_of(part.name) for part in parts}
    stray = (name for name in names - known if not name.startswith(f"{places.notes}/"))
    return Landed(parts, loose, noted, tuple(stray))


def notes(lake: Lake, places: RunPlaces, noted: Iterable[int]) -> dict[int, str]:
    """Return the notes of pages, by page."""
    return {index: lake.read(note_of(places, index)).decode() for index in noted}


def note_of(places: RunPlaces, index: int) -> str:
    """Return where the note of a page is kept."""
    return f"{places.notes}/{index}.txt"


def page_file(places: RunPlaces, pages: Sequence[PageEntry]) -> str:
    """Return the name of the file that holds ``pages``."""
    words = "_".join(f"{page.index}.{page.received}.{page.kept}" for page in pages)
    return f"{places.pages}/{words}.parquet"


def manifest_of(part: str) -> str:
    """Return the name of a part's manifest."""
    return part.removesuffix(".parquet") + ".json"


def manifest(pages: Iterable[PageEntry]) -> bytes:
    """Return the manifest of a part that holds ``pages``."""
    return json.dumps([[page.index, page.received, page.kept] for page in pages]).encode()


def _manifest(lake: Lake, part: str) -> Iterator[PageEntry]:
    for figures in json.loads(lake.read(manifest_of(part))):
        yield PageEntry(*figures)


def _pages_in(name: str) -> Iterator[PageEntry]:
    for word in name.rpartition("/")[2].removesuffix(".parquet").split("_"):
        index, received, kept = map(int, word.split("."))
        yield PageEntry(index, received, kept)
