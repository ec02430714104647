"""The engine: which table goes where, and one load at a time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from mixpanel_fetch.defaults.files import capabilities_of
from mixpanel_fetch.defaults.parquet_sink.load import ParquetLoad
from mixpanel_fetch.defaults.parquet_sink.places import place_of
from mixpanel_fetch.defaults.parquet_sink.staging import Form
from mixpanel_fetch.hookspecs import BaseEngine, require_mode
from mixpanel_fetch.model import Mode, RunInfo


class ParquetEngine(BaseEngine):
    """``parquet://LOCATION``: a path, or a URI of an object store.

    Rows are staged in DuckDB. The finished file becomes visible at commit, whole; until then, and
    after a crash, what was there stays as it was. With load dates the modes speak of the day's
    partition: other days stay.

    ``options``: those of ParquetOptions. Raises ConfigError for a location that names nothing.
    """

    load: ParquetLoad | None = None

    def __init__(
        self,
        location: str,
        compression: str = "zstd",
        row_group_size: int | None = None,
        **options: Any,
    ) -> None:
        self.capabilities = capabilities_of(location, {"replace", "keyed"})
        self._form = Form(compression, row_group_size)
        self._place = place_of(location, **options)

    def check(self, table: str, mode: Mode) -> None:
        """Raise what would keep ``table`` from being written: ConfigError, TableExistsError."""
        require_mode("parquet", mode, self.capabilities)
        self._place.target(table, datetime.now(timezone.utc).date()).check(mode)

    def begin(self, table: str, mode: Mode, run: RunInfo) -> ParquetLoad:
        """Make the run's directory. Raises TableExistsError, ConfigError, StorageError.

        The load date is the day on which the run started, in UTC.
        """
        require_mode("parquet", mode, self.capabilities)
        target = self._place.target(table, run.started_at.astimezone(timezone.utc).date())
        target.check(mode)
        self.load = load = ParquetLoad(target, mode, run.run_id, self._form)
        return load

    def count(self, table: str) -> int | None:
        """Return the rows of the table, None without one, 1 for what is not known to be empty.

        With load dates, those of the last day that there is: an empty answer must not become the
        newest snapshot unasked.
        """
        return self._place.target(table, datetime.now(timezone.utc).date()).count()

    def interrupt(self) -> None:
        """End what is running soon, from another thread: it raises StorageError in its own."""
        load = self.load
        if load is not None:
            load.interrupt()

    def close(self) -> None:
        """Abort the load that ``begin`` returned, which does nothing to a committed one."""
        load, self.load = self.load, None
        if load is not None:
            load.abort()
