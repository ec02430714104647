"""How much memory DuckDB may take, so that it stays flat and still never runs out.

DuckDB takes 80 % of the machine unless told otherwise. Its limit bounds the rows well, which can
go to disk; an index cannot, counts all the same, and a checkpoint that finds no room invalidates
the database. So where there is an index, the limit follows it: what it needs beyond its share of
the limit is added.
"""

from __future__ import annotations

from contextlib import suppress

import duckdb

WORKING = 120_000_000
"""Bytes that rows need beside the index: measured as enough for pages of several megabytes."""

PER_KEY = 160
"""Bytes a key may take while an index is built over ids of usual length, the sort included."""


class MemoryBudget:
    """The ``memory_limit`` of one connection: ``limit`` bytes, more where the index needs them.

    ``limit`` None: the limit is the host's own, and is left alone.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, limit: int | None) -> None:
        self._connection = connection
        self._limit = limit
        self._granted = limit or 0

    def make_room(self, keys: int) -> None:
        """Make sure that an index over ``keys`` more keys finds room."""
        if self._limit is None:
            return
        needed = self._index() + keys * PER_KEY + WORKING
        if needed > self._granted:
            self._grant(needed)

    def lift(self) -> None:
        """Take DuckDB's own default: the last resort before giving up."""
        if self._limit is not None:
            self._connection.execute("RESET memory_limit")
            self._limit = None

    def _grant(self, size: int) -> None:
        # A machine's own limit may be lower than what is asked for; then DuckDB says so itself.
        with suppress(duckdb.Error):
            self._connection.execute(f"SET memory_limit = '{size // 1024}KiB'")
            self._granted = size

    def _index(self) -> int:
        row = self._connection.execute(
            "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag = 'ART_INDEX'"
        ).fetchone()
        return int(row[0] or 0) if row else 0
