"""The file that a report is written to: replaced whole, and only if it is a report of ours."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.report.page import GENERATOR

_HEAD = 1000  # bytes within which a page says that it is ours


class ReportFile:
    """Where a report goes. Looked at when it is made, before anything else is done.

    A symbolic link is followed. Raises ConfigError for what cannot be a report's file, and for a
    file that holds something else, unless ``force``.
    """

    def __init__(self, target: str | Path, *, force: bool = False) -> None:
        try:
            self.path = Path(target).resolve()
            self._mode = self._look(force=force)
        except (OSError, RuntimeError, ValueError) as error:  # a link to itself; a name with NUL
            raise ConfigError(f"cannot write {target}: {_reason(error)}") from None

    def write(self, page: str) -> int:
        """Put ``page`` in the file's place, whole or not at all; return its bytes."""
        text = page.encode()
        new = self.path.with_name(f".mixpanel-fetch-{os.getpid()}.html.new")
        try:
            with new.open("xb") as file:
                file.write(text)
                os.fsync(file.fileno())
            if self._mode is not None:
                new.chmod(self._mode)
            new.replace(self.path)
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {_reason(error)}") from None
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        return len(text)

    def _look(self, *, force: bool) -> int | None:
        """Return the permissions of the file that is there, None where there is none."""
        folder = self.path.parent
        if not folder.is_dir():
            raise ConfigError(f"cannot write {self.path}: there is no directory {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot write {self.path}: no permission in {folder}")
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{self.path} is a directory; name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{self.path} is not a regular file; -o - writes to stdout")
        if not force and found.st_size:
            with self.path.open("rb") as file:
                if GENERATOR.encode() not in file.read(_HEAD):
                    raise ConfigError(
                        f"{self.path} is there and no report; --force replaces it"
                    ) from None
        return stat.S_IMODE(found.st_mode)


def default_name(table: str) -> str:
    """Return the name of the file for a report of ``table``, in the current folder."""
    words = re.sub(r"[^\w.-]+", "-", table)[:60].strip(".-")
    return f"{words or 'table'}-report.html"


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0]
