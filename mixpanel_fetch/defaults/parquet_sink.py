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

import msgspec
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
_encode = msgspec.json.Encoder().encode
_ROW_GROUP_ROWS = 122_880
_ROW_GROUP_BYTES = 64_000_000
_PAGE = 1 << 32  # places of two pages cannot meet

# DuckDB would take most of the machine's memory, and buffers for each core; beyond this limit it
# keeps the rows in its temporary directory.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "400MB", "threads": 2}
_COLUMNS = "(place BIGINT, distinct_id VARCHAR, properties VARCHAR, last_seen TIMESTAMP)"
# One text a page: before 2.0, DuckDB's client takes 0.3 ms for each item of a list parameter.
_INSERT = """
    INSERT INTO staged
    SELECT row.place, row.id, row.properties, make_timestamp(row.micros)
    FROM (SELECT unnest(from_json_strict($1,
        '[{"place": "BIGINT", "id": "VARCHAR", "properties": "VARCHAR", "micros": "BIGINT"}]'
    )) AS row)"""
_DELETE_DUPLICATES = """
    DELETE FROM staged WHERE place NOT IN (SELECT max(place) FROM staged GROUP BY distinct_id)"""


class ParquetOptions(Schema):
    """``compression``: zstd, snappy, gzip or uncompressed. ``row_group_size``: rows, from 2048;
    by default as many as hold 64 MB of properties, and 122880 at most.
    """

    compression = fields.String(load_default="zstd", validate=validate.OneOf(COMPRESSIONS))
    row_group_size = fields.Integer(load_default=None, validate=validate.Range(min=2048))


class ParquetEngine(FileEngine):
    """``parquet://PATH``: rows are staged in DuckDB, which puts what exceeds its memory into a
    hidden directory beside PATH that only its owner can enter. The finished file takes PATH's
    place at commit; until then, and after a crash, what was at PATH stays as it was.
    """

    sink = "parquet"
    capabilities = CAPABILITIES
    load: ParquetLoad | None = None

    def __init__(
        self, location: str, compression: str = "zstd", row_group_size: int | None = None
    ) -> None:
        super().__init__(location)
        self._compression, self._row_group_size = compression, row_group_size

    def begin(self, table: str, mode: Mode, run: RunInfo) -> ParquetLoad:
        """Make the hidden directory. Raises TableExistsError, ConfigError, StorageError."""
        self.check(table, mode)
        self.load = load = ParquetLoad(
            self.path(table), mode, run.run_id, self._compression, self._row_group_size
        )
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
    """A Parquet file in the making."""

    def __init__(
        self, target: Path, mode: Mode, run_id: str, compression: str, row_group_size: int | None
    ) -> None:
        import duckdb

        self._target, self._mode = target, mode
        self._compression, self._row_group_size = compression, row_group_size
        self._workshop = beside(target, run_id)
        self._pages: list[int] = []
        self._rows = self._bytes = self._duplicates = 0
        with self._reporting():
            self._connection = duckdb.connect(
                config={**_SETTINGS, "temp_directory": str(self._workshop / "overflow")}
            )
            self._connection.execute(f"CREATE TABLE staged {_COLUMNS}")
            self._workshop.mkdir(mode=0o700)

    def write(self, page_index: int, batch: Batch) -> int:
        """Stage one page; returns its rows. Raises StorageError."""
        if not batch:
            return 0
        with self._reporting():
            rows = _number(self._connection.execute(_INSERT, [_as_text(page_index, batch)]))
        if rows != len(batch):
            raise StorageError(f"DuckDB took {rows} of the {len(batch)} rows of page {page_index}")
        self._pages.append(page_index)
        self._rows += len(batch)
        self._bytes += sum(map(len, batch.properties))
        return len(batch)

    def count_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        with self._reporting():
            self._duplicates += _number(self._connection.execute(_DELETE_DUPLICATES))
        return self._duplicates

    def commit(self) -> LoadReport:
        """Write the file and put it in its place. Raises StorageError, TableExistsError."""
        finished = self._workshop / "finished.parquet"
        name = str(finished).replace("'", "''")
        duplicates = self.count_duplicates()
        with self._reporting():
            self._put_in_order()
            self._connection.execute(
                f"COPY (SELECT distinct_id, properties, last_seen FROM staged) TO '{name}'"
                f" (FORMAT parquet, COMPRESSION {self._compression},"
                f" ROW_GROUP_SIZE {self._group_rows()}, USE_TMP_FILE false)"
            )
            self._connection.close()
            publish(finished, self._target, self._mode)
        self.abort()
        rows = self._rows - duplicates
        return LoadReport(rows, inserted=rows, updated=0, duplicate_rows=duplicates)

    def _put_in_order(self) -> None:
        # Page by page, because DuckDB's ORDER BY needs more than its memory limit for wide rows.
        pages = sorted(self._pages)
        if pages == self._pages:
            return
        self._connection.execute(f"CREATE TABLE ordered {_COLUMNS}")
        for page in pages:
            self._connection.execute(
                "INSERT INTO ordered FROM staged WHERE place >= $1 AND place < $2",
                [page * _PAGE, (page + 1) * _PAGE],
            )
        self._connection.execute("DROP TABLE staged")
        self._connection.execute("ALTER TABLE ordered RENAME TO staged")

    def _group_rows(self) -> int:
        """Return how many rows a row group gets: DuckDB holds whole groups in memory."""
        if self._row_group_size is not None:
            return self._row_group_size
        fitting = _ROW_GROUP_BYTES * self._rows // max(self._bytes, 1)
        return max(2048, min(_ROW_GROUP_ROWS, fitting))

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


def _as_text(page_index: int, batch: Batch) -> str:
    """Return the rows as one JSON array; their properties are strings in it, and stay exact."""
    columns = zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)
    rows = [
        {
            "place": place,
            "id": distinct_id,
            "properties": properties.decode(),
            # A number: DuckDB reads a datetime by its session's time zone.
            "micros": None if last_seen is None else (last_seen - _EPOCH) // _MICROSECOND,
        }
        for place, (distinct_id, properties, last_seen) in enumerate(columns, page_index * _PAGE)
    ]
    return _encode(rows).decode()


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
