"""A lake in a local folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_delta.names import RunPlaces, is_file_of_ours

_WRITING = ".writing"  # ends the name of a file that is not whole yet
_TRIES = 5


class FolderLake:
    """A :class:`~mixpanel_fetch_delta.lake.Lake` below ``root``."""

    storage_options = None

    def __init__(self, root: Path) -> None:
        self._root = root
        self.label = str(root)

    def open(self, mode: str) -> None:
        """Look whether the folder is there, or can be made in one that is."""
        root = self._root
        if root.is_dir():
            if mode == "write" and not os.access(root, os.W_OK | os.X_OK):
                raise ConfigError(f"cannot write into {root}: no permission")
            if not os.access(root, os.R_OK | os.X_OK):
                raise ConfigError(f"cannot read {root}: no permission")
        elif root.exists():
            raise ConfigError(f"{root} is a file; the delta sink needs a folder for its tables")
        elif mode == "read":
            raise ConfigError(f"there is no folder {root}")
        elif not root.parent.is_dir():
            raise ConfigError(f"there is no folder {root.parent} to make {root.name} in")
        elif not os.access(root.parent, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot make {root}: no permission in {root.parent}")

    def url(self, name: str) -> str:
        """Return a path."""
        return str(self._root / name)

    def folders(self, name: str) -> Sequence[str]:
        """As in Lake."""
        folder = self._root / name
        if not folder.is_dir():
            return []
        return sorted(one.name for one in folder.iterdir() if one.is_dir())

    def files(self, name: str) -> Sequence[tuple[str, int]]:
        """As in Lake."""
        found = []
        for folder, _, names in os.walk(self._root / name):
            for one in names:
                path = Path(folder, one)
                with suppress(FileNotFoundError):  # deleted meanwhile
                    if not one.endswith(_WRITING):
                        found.append((path.relative_to(self._root).as_posix(), path.stat().st_size))
        return sorted(found)

    def first_file(self, name: str) -> str | None:
        """As in Lake."""
        path = self._root / name
        if path.is_file():
            return name
        for _, _, names in os.walk(path):
            for one in names:
                if not is_file_of_ours(one):
                    return one
        return None

    def read(self, name: str) -> bytes:
        """As in Lake."""
        return (self._root / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """As in Lake; the file is on the disk, not only in the system's memory."""
        path = self._made(name)
        writing = path.with_name(f"{path.name}.{os.getpid()}{_WRITING}")
        writing.write_bytes(data)
        self._place(writing, path)

    def upload(self, path: Path, name: str) -> None:
        """As in Lake; the file is moved."""
        self._place(path, self._made(name))

    def copy(self, source: str, target: str) -> None:
        """As in Lake; a second name for one file, where the file system has such."""
        path = self._made(target)
        path.unlink(missing_ok=True)
        try:
            os.link(self._root / source, path)
        except OSError:
            writing = path.with_name(path.name + _WRITING)
            shutil.copyfile(self._root / source, writing)
            self._place(writing, path)
        else:
            os.utime(path)  # or it may look like something that a crash left long ago
            _sync(path.parent)

    def delete(self, names: Iterable[str]) -> None:
        """As in Lake, and the folders that are empty then."""
        for name in names:
            path = self._root / name
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def local(self, name: str, workshop: Path) -> Path:
        """As in Lake: the file itself."""
        return self._root / name

    def workshop(self, run_id: str) -> Path:
        """As in Lake: beside staging, so that a file made there is put by renaming it."""
        folder = self._root / RunPlaces(run_id).work
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder.parent)
        folder.mkdir(mode=0o700)
        return folder

    def leave(self, workshop: Path) -> None:
        """As in Lake, and the folders above that are empty then."""
        shutil.rmtree(workshop, ignore_errors=True)
        self._remove_empty(workshop.parent)

    def _made(self, name: str) -> Path:
        path = self._root / name
        _make(path.parent)
        return path

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty, or gone already
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def _place(self, written: Path, path: Path) -> None:
        _sync(written)
        written.replace(path)
        _sync(path.parent)


def _make(folder: Path) -> None:
    for _ in range(_TRIES):
        # Another run may be removing a folder above, which was empty.
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Not every file system lets a directory be synced.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
