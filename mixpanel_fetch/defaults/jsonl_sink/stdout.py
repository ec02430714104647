"""``jsonl://-``: rows on standard output, for whatever reads it."""

from __future__ import annotations

import sys
from pathlib import Path

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.files import cannot_write
from mixpanel_fetch.defaults.jsonl_sink.lines import Lines, row_lines
from mixpanel_fetch.defaults.jsonl_sink.outlet import Outlet, outlet_of
from mixpanel_fetch.errors import ConfigError, ReaderGoneError
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad, require_mode
from mixpanel_fetch.model import Mode, RunInfo


class JsonlStdout(BaseEngine):
    """Standard output, page by page as they land. Nothing can be taken back."""

    capabilities = frozenset({"stream"})

    def __init__(self, lines: Lines = row_lines) -> None:
        self._lines = lines
        self._outlet: Outlet | None = None

    def check(self, table: str, mode: Mode) -> None:  # noqa: ARG002
        """Raise ConfigError for any mode but ``create``, or if there is no standard output."""
        require_mode("jsonl://-", mode, self.capabilities)
        if getattr(sys.stdout, "buffer", None) is None:
            raise ConfigError("jsonl://- needs a standard output that takes bytes; name a file")

    def begin(self, table: str, mode: Mode, run: RunInfo) -> StdoutLoad:  # noqa: ARG002
        """Open standard output once more if it is a pipe."""
        self.check(table, mode)
        self.close()
        self._outlet = outlet = outlet_of(sys.stdout.buffer)
        return StdoutLoad(outlet, self._lines)

    def interrupt(self) -> None:
        """Wait no longer for a reader that does not read."""
        if self._outlet is not None:
            self._outlet.interrupt()

    def close(self) -> None:
        """Close what ``begin`` opened; standard output itself stays open."""
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            outlet.close()


class StdoutLoad(BaseLoad):
    """Lines on their way to a reader."""

    def __init__(self, outlet: Outlet, lines: Lines) -> None:
        self._outlet, self._lines = outlet, lines

    def write(self, page_index: int, batch: Batch) -> int:  # noqa: ARG002
        """Write one page, as fast as it is read; returns its rows.

        Raises ReaderGoneError; StorageError, when interrupted too: half a line may be out.
        """
        try:
            self._outlet.write(self._lines(batch))
        except BrokenPipeError as error:
            raise ReaderGoneError(
                "the reader of standard output went away before all rows were written"
            ) from error
        except OSError as error:
            raise cannot_write(Path("standard output"), error) from error
        return len(batch)
