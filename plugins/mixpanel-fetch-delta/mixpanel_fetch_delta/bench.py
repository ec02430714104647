"""DuckDB at work on Parquet files: writing them, and putting several together.

One connection a run, in memory, with a limit: what exceeds it goes to the run's local folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import duckdb

from mixpanel_fetch.errors import FetchInterruptedError
from mixpanel_fetch_delta.rows import Rows, as_table

COLUMNS = ("distinct_id", "properties", "last_seen")
_SELECTED = ", ".join(COLUMNS)
# A row group is held in memory while it is written.
_GROUP_BYTES = 16_000_000
_FEWEST, _MOST = 2_048, 122_880


@dataclass(frozen=True)
class ParquetFile:
    """A finished file: its path, rows, bytes, and what ``last_seen`` says.

    ``unseen``: rows without one; ``seen``: the first and the last, in microseconds since 1970, UTC.
    """

    path: Path
    rows: int
    size: int
    unseen: int
    seen: tuple[int, int] | None


class Bench:
    """The workbench of one run. ``workshop``: its local folder; ``memory``: bytes for DuckDB."""

    def __init__(self, workshop: Path, memory: int) -> None:
        self.workshop = workshop
        self._memory = memory
        self._stopped = False
        self._connection = self._connected()

    def sql(self, statement: str, **tables: Any) -> list[tuple[Any, ...]]:
        """Run one statement, over Arrow ``tables`` by name. Raises duckdb.Error."""
        self.check()
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            return self._connection.execute(statement).fetchall()
        finally:
            for name in tables:
                self._connection.unregister(name)

    def clear(self) -> None:
        """Begin anew, without any table: what DuckDB still holds would add to what comes next."""
        self._connection.close()
        self._connection = self._connected()

    def write(self, pages: Sequence[Rows]) -> Path:
        """Write pages to a file, and return its path."""
        path = self.workshop / "page.parquet"
        copy = f"COPY (FROM landing) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)"
        self.sql(copy, landing=as_table(pages))
        return path

    def gather(self, sources: Sequence[Path], name: str, where: str = "") -> ParquetFile:
        """Write the rows of ``sources``, in their order, to one file, and small.

        ``where``: a condition; ``file_index`` is the place in ``sources``.
        """
        path = self.workshop / name
        self.sql(
            f"COPY (SELECT {_SELECTED} FROM {read(sources)} {where}) TO {quoted(path)}"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {self._group_rows(sources)},"
            " USE_TMP_FILE false)"
        )
        return self.described(path)

    def described(self, path: Path) -> ParquetFile:
        """Return what is to be known of a file."""
        ((rows, seen, first, last),) = self.sql(
            "SELECT count(*), count(last_seen), epoch_us(min(last_seen)), epoch_us(max(last_seen))"
            f" FROM {read([path])}"
        )
        size = path.stat().st_size
        return ParquetFile(path, rows, size, rows - seen, (first, last) if seen else None)

    def check(self) -> None:
        """Raise FetchInterruptedError if :meth:`interrupt` was called."""
        if self._stopped:
            raise FetchInterruptedError("stopped")

    def resumes(self) -> None:
        """Forget what was interrupted: a new call begins."""
        self._stopped = False

    def interrupt(self) -> None:
        """End what is running soon. May be called from any thread."""
        self._stopped = True
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            config={
                "memory_limit": f"{self._memory // 1024}KiB",
                # More of them hold more row groups in memory, and the network is slower anyway.
                "threads": 1,
                "temp_directory": str(self.workshop / "overflow"),
            }
        )

    def _group_rows(self, sources: Sequence[Path]) -> int:
        """Return how many rows a row group gets, by how large they are in ``sources``."""
        ((rows, size),) = self.sql(
            "SELECT sum(row_group_num_rows), sum(row_group_bytes) FROM (SELECT DISTINCT file_name,"
            " row_group_id, row_group_num_rows, row_group_bytes"
            f" FROM parquet_metadata({_listed(sources)}))"
        )
        fitting = _GROUP_BYTES * int(rows or 0) // max(int(size or 0), 1)
        return max(_FEWEST, min(_MOST, fitting))


def read(sources: Sequence[Path]) -> str:
    """Return what reads files in SQL, with ``file_index`` and ``file_row_number``."""
    return f"read_parquet({_listed(sources)}, file_row_number = true)"


def quoted(path: Path) -> str:
    """Return a path as a text in SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _listed(sources: Sequence[Path]) -> str:
    # To DuckDB, a path that it reads is a pattern.
    return f"[{', '.join(quoted(Path(escape(str(path)))) for path in sources)}]"
