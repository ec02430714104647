"""The lake: files by name in a folder or in a bucket, as far as this sink needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mixpanel_fetch_delta.folder import FolderLake
from mixpanel_fetch_delta.options import Target


class Lake(Protocol):
    """Files by name: ``/`` between the parts, relative to the lake.

    What was put is whole or not there, and durable when the call returns. Raises OSError (a
    missing file: FileNotFoundError) and what obstore raises.
    """

    label: str
    """What messages call it."""

    def open(self, mode: str) -> None:
        """Look whether tables can be there: to ``read``, or to ``write``. Raises ConfigError."""

    def url(self, name: str) -> str:
        """Return where deltalake finds ``name``."""

    @property
    def storage_options(self) -> Mapping[str, str] | None:
        """What deltalake has to know of the store."""

    def folders(self, name: str) -> Sequence[str]:
        """Return the names of the folders in a folder, without files; of none, none."""

    def files(self, name: str) -> Sequence[tuple[str, int]]:
        """Return the files anywhere below a folder, with their sizes in bytes; of none, none."""

    def first_file(self, name: str) -> str | None:
        """Return a file below a folder that no publish of ours has left there, or None."""

    def read(self, name: str) -> bytes:
        """Return what is in a file."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file, over one that is there."""

    def upload(self, path: Path, name: str) -> None:
        """Put a local file, which the lake may take away, under a name that is new."""

    def copy(self, source: str, target: str) -> None:
        """Make ``target`` hold what ``source`` holds. Over one that is there."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are not there do not matter."""

    def local(self, name: str, workshop: Path) -> Path:
        """Return a local path of a file; what must be fetched for it goes into ``workshop``."""

    def workshop(self, run_id: str) -> Path:
        """Make a local folder for the work of a run, empty, and return it."""

    def leave(self, workshop: Path) -> None:
        """Remove such a folder, and what is in it."""


def open_lake(target: Target) -> Lake:
    """Return the lake of a target; nothing is opened yet."""
    if target.folder is not None:
        return FolderLake(target.folder)
    from mixpanel_fetch_delta.bucket import BucketLake

    return BucketLake(target.url, target.storage)
