"""The sink ``jsonl``: one JSON object a line, in a file or on standard output.

A line is ``{"distinct_id": text, "properties": object, "last_seen": "2026-01-31T00:00:00Z" or
null}`` in UTF-8; each property's value has the bytes that Mixpanel sent. Rows are written as they
come, in the order in which pages land: the file is not keyed, and an id that Mixpanel sent twice
is in it twice.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.files import FileEngine, beside, cannot_write, publish
from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad, SinkSpec, hookimpl, require_mode
from mixpanel_fetch.model import LoadReport, Mode, RunInfo
from mixpanel_fetch.protocols import StorageEngine

# JSON may hold line breaks between its tokens, never inside a string: blanks mean the same.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_encode_lines = msgspec.json.Encoder().encode_lines


def lines(batch: Batch) -> bytes:
    """Return the rows of ``batch`` as lines, each ended by a line feed."""
    return _encode_lines(
        {
            "distinct_id": distinct_id,
            "properties": msgspec.Raw(properties.translate(_ONE_LINE)),
            "last_seen": last_seen,
        }
        for distinct_id, properties, last_seen in zip(
            batch.distinct_ids, batch.properties, batch.last_seen, strict=True
        )
    )


class JsonlFile(FileEngine):
    """``jsonl://PATH``: a file, gzipped when its name ends in ``.gz``.

    It is written under a hidden name beside PATH and takes its place at commit; until then, and
    after a crash, what was at PATH stays as it was.
    """

    sink = "jsonl"

    def begin(self, table: str, mode: Mode, run: RunInfo) -> FileLoad:
        """Open the hidden file. Raises TableExistsError, ConfigError, StorageError."""
        self.check(table, mode)
        self.load = load = FileLoad(self.path(table), mode, run.run_id)
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

    def __init__(self, target: Path, mode: Mode, run_id: str) -> None:
        self._target, self._mode = target, mode
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
            self._sink.write(lines(batch))
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


class JsonlStdout(BaseEngine):
    """``jsonl://-``: standard output, page by page as they land. Nothing can be taken back."""

    capabilities = frozenset({"stream"})

    def check(self, table: str, mode: Mode) -> None:  # noqa: ARG002
        """Raise ConfigError for any mode but ``create``, or if there is no standard output."""
        require_mode("jsonl://-", mode, self.capabilities)
        if getattr(sys.stdout, "buffer", None) is None:
            raise ConfigError("jsonl://- needs a standard output that takes bytes; name a file")

    def begin(self, table: str, mode: Mode, run: RunInfo) -> StdoutLoad:  # noqa: ARG002
        """Open nothing: standard output is there."""
        self.check(table, mode)
        return StdoutLoad()


class StdoutLoad(BaseLoad):
    """Lines on their way to a reader."""

    def write(self, page_index: int, batch: Batch) -> int:  # noqa: ARG002
        """Write one page; returns its rows. Raises StorageError, when the reader has gone too."""
        try:
            sys.stdout.buffer.write(lines(batch))
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise StorageError(
                "the reader of standard output went away before all rows were written"
            ) from error
        except OSError as error:
            raise cannot_write(Path("standard output"), error) from error
        return len(batch)


def open_sink(location: str) -> StorageEngine:
    """Return the engine for ``location``: a path, or ``-`` for standard output."""
    return JsonlStdout() if location == "-" else JsonlFile(location)


def _reader(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(path)  # type: ignore[return-value]
    return path.open("rb")


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``jsonl``."""
    summary = "one JSON object a line: a file (.gz: gzipped), or - for standard output"
    return [SinkSpec("jsonl", open_sink, None, summary, frozenset({"replace"}))]
