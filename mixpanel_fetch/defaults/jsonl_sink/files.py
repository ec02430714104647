"""``jsonl://PATH``: rows in a file of their own."""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.files import FileEngine, beside, cannot_write, publish
from mixpanel_fetch.defaults.jsonl_sink.lines import Lines, row_lines
from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.hookspecs import BaseLoad
from mixpanel_fetch.model import LoadReport, Mode, RunInfo


class JsonlFile(FileEngine):
    """A file, gzipped when its name ends in ``.gz``.

    It is written under a hidden name beside its path and takes its place at commit; until then,
    and after a crash, what was there stays as it was.
    """

    sink = "jsonl"

    def __init__(self, location: str, lines: Lines = row_lines) -> None:
        super().__init__(location)
        self._lines = lines

    def begin(self, table: str, mode: Mode, run: RunInfo) -> FileLoad:
        """Open the hidden file. Raises TableExistsError, ConfigError, StorageError."""
        self.check(table, mode)
        self.load = load = FileLoad(self.path(table), mode, run.run_id, self._lines)
        return load

    def count(self, table: str) -> int | None:
        """Return 0 for an empty file, 1 for any other, None without one: enough to tell."""
        path = self.path(table)
        try:
            with _reader(path) as file:
                return len(file.read(1))
        except FileNotFoundError:
            return None
        except (OSError, EOFError):
            return 1  # unreadable, so not known to be empty


class FileLoad(BaseLoad):
    """A file in the making."""

    def __init__(self, target: Path, mode: Mode, run_id: str, lines: Lines) -> None:
        self._target, self._mode, self._lines = target, mode, lines
        self._partial = beside(target, run_id)
        self._rows = 0
        # Next to a file that is there already, nobody sees more than its owner until it is known
        # that it is replaced, and with whose permissions.
        permissions = 0o600 if target.exists() else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            self._file: IO[bytes] = os.fdopen(os.open(self._partial, flags, permissions), "wb")
        except OSError as error:
            raise cannot_write(target, error) from error
        self._sink: IO[bytes] = self._file
        if target.suffix == ".gz":
            self._sink = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0, compresslevel=6)  # type: ignore[assignment]

    def write(self, page_index: int, batch: Batch) -> int:  # noqa: ARG002
        """Write one page; returns its rows. Raises StorageError, and then the load is at its end:
        half a line may be in the file.
        """
        if self._file.closed:
            raise StorageError(f"cannot write {self._target}: this load has ended")
        try:
            self._sink.write(self._lines(batch))
        except OSError as error:
            self.abort()
            raise cannot_write(self._target, error) from error
        self._rows += len(batch)
        return len(batch)

    def commit(self) -> LoadReport:
        """Put the file in its place. Raises StorageError, TableExistsError."""
        if self._file.closed:
            raise StorageError(f"cannot write {self._target}: this load has ended")
        try:
            self._sink.close()
            self._file.close()
            publish(self._partial, self._target, self._mode)
        except OSError as error:
            raise cannot_write(self._target, error) from error
        return LoadReport(total_rows=self._rows, inserted=self._rows, updated=0)

    def abort(self) -> None:
        """Remove the hidden file. After commit, or once more: does nothing."""
        for file in (self._sink, self._file):
            with suppress(OSError):  # what a full disk did not take is thrown away
                file.close()
        with suppress(OSError):
            self._partial.unlink()


def _reader(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(path)  # type: ignore[return-value]
    return path.open("rb")
