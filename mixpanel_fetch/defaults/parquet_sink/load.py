"""One run's way into a Parquet file."""

from __future__ import annotations

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.parquet_sink.staging import Form, Staging
from mixpanel_fetch.defaults.parquet_sink.targets import Target
from mixpanel_fetch.hookspecs import BaseLoad
from mixpanel_fetch.model import LoadReport, Mode


class ParquetLoad(BaseLoad):
    """A Parquet file in the making: staged, written whole, put in its place."""

    def __init__(self, target: Target, mode: Mode, run_id: str, form: Form) -> None:
        self._target, self._mode, self._form = target, mode, form
        self.staging = Staging(target.workshop(run_id))

    def write(self, page_index: int, batch: Batch) -> int:
        """Stage one page; returns its rows. Raises StorageError."""
        self.staging.add(page_index, batch)
        return len(batch)

    def count_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        return self.staging.drop_duplicates()

    def commit(self) -> LoadReport:
        """Write the file and put it in its place. Raises StorageError, TableExistsError."""
        duplicates = self.count_duplicates()
        self._target.publish(self.staging.finish(self._form), self._mode)
        self.abort()
        rows = self.staging.rows
        return LoadReport(rows, inserted=rows, updated=0, duplicate_rows=duplicates)

    def abort(self) -> None:
        """Remove what was staged. After commit, or once more: does nothing."""
        self.staging.discard()

    def interrupt(self) -> None:
        """End a running statement or upload soon. Called from another thread."""
        self._target.interrupt()
        self.staging.interrupt()
