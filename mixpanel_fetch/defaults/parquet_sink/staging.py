"""A table in the making: its rows wait in DuckDB, which writes the Parquet file.

What exceeds DuckDB's memory goes to a directory of the run that only its owner can enter.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.files import cannot_write
from mixpanel_fetch.defaults.parquet_sink.rows import PAGE, as_text
from mixpanel_fetch.defaults.parquet_sink.targets import Workshop
from mixpanel_fetch.errors import StorageError

if TYPE_CHECKING:
    import duckdb

ROW_GROUP_BYTES = 64_000_000
_ROW_GROUP_ROWS = 122_880

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


@dataclass(frozen=True)
class Form:
    """How a file is written. ``row_group_size``: rows, None for as many as hold 64 MB."""

    compression: str = "zstd"
    row_group_size: int | None = None


class Staging:
    """The rows of one run."""

    def __init__(self, workshop: Workshop) -> None:
        import duckdb

        self._folder, self._name = workshop.path, workshop.name
        self._pages: list[int] = []
        self._rows = self._bytes = 0
        self.duplicates = 0
        with self.reporting():
            self.connection = duckdb.connect(
                config={**_SETTINGS, "temp_directory": str(self._folder / "overflow")}
            )
            # It would be drawn on standard output, which carries the result.
            self.connection.execute("SET enable_progress_bar = false")
            self.connection.execute(f"CREATE TABLE staged {_COLUMNS}")
            self._folder.mkdir(mode=0o700)

    @property
    def rows(self) -> int:
        """How many rows are here, without those that gave way."""
        return self._rows - self.duplicates

    def add(self, page_index: int, batch: Batch) -> None:
        """Stage one page. Raises StorageError."""
        if not batch:
            return
        with self.reporting():
            rows = number(self.connection.execute(_INSERT, [as_text(page_index, batch)]))
        if rows != len(batch):
            raise StorageError(f"DuckDB took {rows} of the {len(batch)} rows of page {page_index}")
        self._pages.append(page_index)
        self._rows += len(batch)
        self._bytes += sum(map(len, batch.properties))

    def drop_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        with self.reporting():
            self.duplicates += number(self.connection.execute(_DELETE_DUPLICATES))
        return self.duplicates

    def finish(self, form: Form) -> Path:
        """Return the file with all the rows, in page order. Raises StorageError."""
        finished = self._folder / "finished.parquet"
        name = str(finished).replace("'", "''")
        with self.reporting():
            self._put_in_order()
            self.connection.execute(
                f"COPY (SELECT distinct_id, properties, last_seen FROM staged) TO '{name}'"
                f" (FORMAT parquet, COMPRESSION {form.compression},"
                f" ROW_GROUP_SIZE {self._group_rows(form)}, USE_TMP_FILE false)"
            )
            self.connection.close()
        return finished

    def _put_in_order(self) -> None:
        # Page by page, because DuckDB's ORDER BY needs more than its memory limit for wide rows.
        pages = sorted(self._pages)
        if pages == self._pages:
            return
        self.connection.execute(f"CREATE TABLE ordered {_COLUMNS}")
        for page in pages:
            self.connection.execute(
                "INSERT INTO ordered FROM staged WHERE place >= $1 AND place < $2",
                [page * PAGE, (page + 1) * PAGE],
            )
        self.connection.execute("DROP TABLE staged")
        self.connection.execute("ALTER TABLE ordered RENAME TO staged")

    def _group_rows(self, form: Form) -> int:
        """Return how many rows a row group gets: DuckDB holds whole groups in memory."""
        if form.row_group_size is not None:
            return form.row_group_size
        fitting = ROW_GROUP_BYTES * self._rows // max(self._bytes, 1)
        return max(2048, min(_ROW_GROUP_ROWS, fitting))

    def discard(self) -> None:
        """Remove the directory, and the finished file if it is still there. May come twice."""
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def interrupt(self) -> None:
        """End a running statement soon. Called from another thread."""
        import duckdb

        with suppress(duckdb.Error):  # it may have ended, and the connection with it
            self.connection.interrupt()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn what DuckDB and the file system raise inside into a StorageError."""
        import duckdb

        try:
            yield
        except (OSError, duckdb.Error) as error:
            raise cannot_write(self._name, error) from error


def number(answer: duckdb.DuckDBPyConnection) -> int:
    """Return the one number that a statement answered. Raises StorageError."""
    row = answer.fetchone()
    if row is None:
        raise StorageError("DuckDB answered nothing")
    return int(row[0])
