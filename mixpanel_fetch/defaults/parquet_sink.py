"""The sink ``parquet``: one Parquet file, written by DuckDB.

Columns: ``distinct_id`` VARCHAR, ``properties`` VARCHAR (one JSON object; each value has the bytes
that Mixpanel sent), ``last_seen`` TIMESTAMP (UTC, microseconds). Rows stand in page order, and an
id is there once: of rows that Mixpanel sent twice, that of the later page is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from marshmallow import Schema, fields, validate

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.files import FileEngine, beside, cannot_write, publish
from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.hookspecs import BaseLoad, SinkSpec, hookimpl
from mixpanel_fetch.model import LoadReport, Mode, RunInfo

if TYPE_CHECKING:
    import duckdb

CAPABILITIES = frozenset({"replace", "keyed"})
COMPRESSIONS = ("zstd", "snappy", "gzip", "uncompressed")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

# DuckDB would take most of the machine's memory, and a buffer for each core; beyond this limit it
# uses the disk. The database is thrown away, so its log need not be folded in often.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "400MB",
    "threads": 2,
    "checkpoint_threshold": "128MB",
}
_DATABASE = "staged.duckdb"
_CREATE = """
    CREATE TABLE staged
        (place BIGINT, distinct_id VARCHAR, properties VARCHAR, last_seen TIMESTAMP)"""
_INSERT = """
    INSERT INTO staged
    SELECT unnest($places::BIGINT[]), unnest($ids::VARCHAR[]), unnest($properties::VARCHAR[]),
        make_timestamp(unnest($micros::BIGINT[]))"""
_RESULT = """
    SELECT distinct_id, properties, last_seen FROM staged
    WHERE place IN (SELECT max(place) FROM staged GROUP BY distinct_id)
    ORDER BY place"""


class ParquetOptions(Schema):
    """``compression``: zstd, snappy, gzip, uncompressed. ``row_group_size``: rows, from 2048."""

    compression = fields.String(load_default="zstd", validate=validate.OneOf(COMPRESSIONS))
    row_group_size = fields.Integer(load_default=122_880, validate=validate.Range(min=2048))


class ParquetEngine(FileEngine):
    """``parquet://PATH``: rows are staged in a hidden directory beside PATH, which only its owner
    can enter; the finished file takes PATH's place at commit. Until then, and after a crash, what
    was at PATH stays as it was.
    """

    sink = "parquet"
    capabilities = CAPABILITIES
    load: ParquetLoad | None = None

    def __init__(
        self, location: str, compression: str = "zstd", row_group_size: int = 122_880
    ) -> None:
        super().__init__(location)
        self._format = (
            f"FORMAT parquet, COMPRESSION {compression}, ROW_GROUP_SIZE {row_group_size},"
            " USE_TMP_FILE false"
        )

    def begin(self, table: str, mode: Mode, run: RunInfo) -> ParquetLoad:
        """Make the hidden directory. Raises TableExistsError, ConfigError, StorageError."""
        self.check(table, mode)
        self.load = load = ParquetLoad(self.path(table), mode, run.run_id, self._format)
        return load

    def count(self, table: str) -> int | None:
        """Return the rows of the file, None without one, 1 for a file that is not Parquet."""
        import duckdb

        path = self.path(table)
        if not path.exists():
            return None
        try:
            with duckdb.connect() as connection:
                query = "SELECT count(*) FROM read_parquet($1)"
                return _number(connection.execute(query, [escape(str(path))]))
        except duckdb.Error:
            return 1  # unreadable, so not known to be empty

    def interrupt(self) -> None:
        """End a running statement soon, from another thread: it raises StorageError in its own."""
        load = self.load
        if load is not None:
            load.interrupt()


class ParquetLoad(BaseLoad):
    """A Parquet file in the making: the pages, staged in a DuckDB database of their own."""

    def __init__(self, target: Path, mode: Mode, run_id: str, file_format: str) -> None:
        import duckdb

        self._target, self._mode, self._format = target, mode, file_format
        self._workshop = beside(target, run_id)
        self._rows = 0
        with self._reporting():
            self._workshop.mkdir(mode=0o700)
            try:
                self._connection = duckdb.connect(self._workshop / _DATABASE, config=_SETTINGS)
                self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")
                self._connection.execute(_CREATE)
            except duckdb.Error:
                shutil.rmtree(self._workshop, ignore_errors=True)
                raise

    def write(self, page_index: int, batch: Batch) -> int:
        """Stage one page; returns its rows. Raises StorageError."""
        if not batch:
            return 0
        first = page_index << 32
        values = {
            "places": list(range(first, first + len(batch))),
            "ids": batch.distinct_ids,
            "properties": [text.decode() for text in batch.properties],
            # As numbers, because what a datetime means depends on the session's time zone.
            "micros": [
                None if seen is None else (seen - _EPOCH) // _MICROSECOND
                for seen in batch.last_seen
            ],
        }
        with self._reporting():
            self._connection.execute(_INSERT, values)
        self._rows += len(batch)
        return len(batch)

    def commit(self) -> LoadReport:
        """Write the file and put it in its place. Raises StorageError, TableExistsError."""
        finished = self._workshop / "finished.parquet"
        name = str(finished).replace("'", "''")
        with self._reporting():
            rows = _number(
                self._connection.execute(f"COPY ({_RESULT}) TO '{name}' ({self._format})")
            )
            self._connection.close()
            publish(finished, self._target, self._mode)
        self.abort()
        return LoadReport(rows, inserted=rows, updated=0, duplicate_rows=self._rows - rows)

    def abort(self) -> None:
        """Remove the hidden directory. After commit, or once more: does nothing."""
        self._connection.close()
        shutil.rmtree(self._workshop, ignore_errors=True)

    def interrupt(self) -> None:
        """End a running statement soon. Called from another thread."""
        import duckdb

        with suppress(duckdb.Error):  # it may have ended, and the connection with it
            self._connection.interrupt()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (OSError, duckdb.Error) as error:
            raise cannot_write(self._target, error) from error


def _number(answer: duckdb.DuckDBPyConnection) -> int:
    row = answer.fetchone()
    if row is None:
        raise StorageError("DuckDB answered nothing")
    return int(row[0])


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``parquet``."""
    summary = "one Parquet file, by DuckDB"
    return [SinkSpec("parquet", ParquetEngine, ParquetOptions, summary, CAPABILITIES)]
