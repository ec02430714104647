"""The folder in which the processes of one user meet, and locks that die with their process."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("mixpanel_fetch")
POLL = 0.01
"""Seconds between two tries for a lock."""


class SharedFiles:
    """The folder where processes meet: the user's own, and nobody else's.

    Methods raise OSError. After :meth:`leave_out` nothing is shared any more (``off``).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.off = False
        self._folder = folder
        self._checked: str | None = None

    def leave_out(self, error: OSError) -> None:
        """Share nothing from now on, and say so once."""
        if not self.off:
            self.off = True
            log.warning("the quota is not shared with other processes: %s", error)

    def open(self, name: str, flags: int) -> int:
        """Return a descriptor of file ``name``. A symbolic link is refused."""
        folder = self._checked or self._check()
        return os.open(f"{folder}/{name}", flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def try_lock(self, name: str) -> int | None:
        """Return a descriptor that holds the lock on file ``name``, None while another does."""
        # Not a FileLock: it takes 30 times as long, and guards itself with locks of threads.
        from filelock import lock_descriptor

        descriptor = self.open(name, os.O_RDWR)
        locked = False
        try:
            locked = lock_descriptor(descriptor, blocking=False)
        finally:
            if not locked:
                os.close(descriptor)
        return descriptor if locked else None

    @staticmethod
    def unlock(descriptor: int) -> None:
        """Give back what :meth:`try_lock` returned."""
        from filelock import unlock_descriptor

        try:
            unlock_descriptor(descriptor)  # closing is not enough where a fork holds a copy
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, name: str, sleep: Callable[[float], None]) -> Iterator[None]:
        """Hold the lock on file ``name``. Waits some seconds at most: its holders are quick."""
        for _ in range(500):
            descriptor = self.try_lock(name)
            if descriptor is not None:
                break
            sleep(POLL)
        else:
            raise OSError(errno.ETIMEDOUT, "another process holds the lock", name)
        try:
            yield
        finally:
            self.unlock(descriptor)

    def read(self, name: str) -> bytes:
        """Return what file ``name`` holds; it is made if it is missing."""
        with os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
            return file.read()

    def write(self, name: str, text: bytes) -> None:
        """Put ``text`` in place of file ``name``, whole or not at all. Call it under a lock."""
        with os.fdopen(self.open(f"{name}.new", os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(text)
        Path(f"{self._checked}/{name}.new").replace(f"{self._checked}/{name}")

    def _check(self) -> str:
        folder = self._folder or _default_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise OSError(errno.ENOTDIR, "not a folder", str(folder))
        if found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "the folder is another user's", str(folder))
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            folder.chmod(found.st_mode & stat.S_IRWXU)
        self._checked = str(folder)
        return self._checked


def _default_folder() -> Path:
    import platformdirs

    folder = platformdirs.user_cache_path("mixpanel-fetch") / "quota"
    if not folder.is_absolute():  # a user without a home
        raise OSError(errno.ENOENT, "no home folder; set XDG_CACHE_HOME", str(folder))
    return folder
