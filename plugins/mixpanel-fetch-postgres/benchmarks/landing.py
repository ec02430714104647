"""The sink beside a plain COPY of the same rows, in one run on one server.

    python plugins/mixpanel-fetch-postgres/benchmarks/landing.py [--replace] [--runs N]

Starts a PostgreSQL of its own with the server's defaults (every commit reaches the disk), as the
tests do, and a simulator for the pages. The reference is psycopg's COPY, text or binary, whichever
is faster, of rows that are prepared beforehand, in one transaction, into a table with the same
columns and the same primary key. Medians; each run takes its turn with the others.
"""

# ruff: noqa: T201 - it prints what it measures

from __future__ import annotations

import argparse
import runpy
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from mixpanel_fetch_postgres.engine import PostgresEngine
from mixpanel_fetch_postgres.load import PostgresLoad
from psycopg.types.json import Jsonb

from mixpanel_fetch import Workspace
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad
from mixpanel_fetch.model import Mode, ProfileQuery, RunInfo
from mixpanel_fetch.simulator import SimulatorProcess

_CREATE = """CREATE TABLE {} (
    distinct_id text PRIMARY KEY, properties jsonb, last_seen timestamp with time zone)"""
_COLUMNS = "distinct_id, properties, last_seen"
_TOGETHER = 3  # pages that a run with five workers hands over at once, when they wait
_Rows = Sequence[tuple[Any, ...]]


class Kept(BaseEngine, BaseLoad):
    """A sink that keeps the pages."""

    capabilities = frozenset({"keyed"})

    def __init__(self) -> None:
        self.pages: dict[int, Batch] = {}

    def begin(self, table: str, mode: Mode, run: RunInfo) -> Kept:
        """Keep what comes."""
        return self

    def write(self, page_index: int, batch: Batch) -> int:
        """Keep a page."""
        self.pages[page_index] = batch
        return len(batch)


class Bench:
    """A server, the pages, and each way to land them."""

    def __init__(self, server: Any, simulator: SimulatorProcess) -> None:
        self.location = f"tester:pa55%20w0rd@127.0.0.1:{server.port}/postgres"
        self.simulator = simulator
        self.connection: psycopg.Connection[Any] = server.connect("postgres")
        kept = Kept()
        self._fetch(kept)
        self.pages = sorted(kept.pages.items())
        rows = [
            (key, text.decode(), seen)
            for _, page in self.pages
            for key, text, seen in zip(
                page.distinct_ids, page.properties, page.last_seen, strict=True
            )
        ]
        self.texts: _Rows = rows
        self.values: _Rows = [(key, Jsonb(text, dumps=str), seen) for key, text, seen in rows]

    def clear(self) -> None:
        """Drop what was landed, and have the server write down what it still has to."""
        self.connection.execute("DROP TABLE IF EXISTS plain, profiles, staged")
        self.connection.execute("CHECKPOINT")

    def copy_text(self) -> None:
        """Psycopg's COPY in text, row by row."""
        self._plain(self.texts, "COPY plain FROM STDIN", None)

    def copy_binary(self) -> None:
        """Psycopg's COPY in binary, row by row."""
        types = ["text", "jsonb", "timestamptz"]
        self._plain(self.values, "COPY plain FROM STDIN (FORMAT binary)", types)

    def sink(self) -> None:
        """The sink with the same rows as pages: from check to close, publish included."""
        engine, load = self.landed("create")
        load.commit()
        engine.close()

    def landed(self, mode: Mode) -> tuple[PostgresEngine, PostgresLoad]:
        """Land every page through the sink; nothing is published yet."""
        run = RunInfo(
            uuid4().hex, "profiles", mode, ProfileQuery(), "s", None, 1000, len(self.pages), (), {},
            datetime.now(timezone.utc), "benchmark",
        )  # fmt: skip
        engine = PostgresEngine(self.location)
        engine.check("profiles", mode)
        load = engine.begin("profiles", mode, run)
        for start in range(0, len(self.pages), _TOGETHER):
            load.write_pages(self.pages[start : start + _TOGETHER])
        return engine, load

    def whole_fetch(self) -> None:
        """A whole fetch from the simulator: asking and reading the pages included."""
        self._fetch(f"postgresql://{self.location}")

    def statements(self, *statements: str) -> None:
        """Run statements in one transaction."""
        with self.connection.transaction():
            for statement in statements:
                self.connection.execute(statement.encode())

    def _fetch(self, destination: Any) -> None:
        with Workspace(
            destination=destination, username="demo", secret="demo-secret", project_id=12345,
            api_base_url=self.simulator.base_url,
        ) as workspace:  # fmt: skip
            workspace.fetch_profiles("profiles", parallel=True, progress=False)

    def _plain(self, rows: _Rows, statement: str, types: list[str] | None) -> None:
        self.connection.execute(_CREATE.format("plain").encode())
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            if types is not None:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def ratios(bench: Bench, runs: int) -> None:
    """Print the sink and the whole fetch beside the faster plain COPY."""
    ways = {
        "plain COPY, text": bench.copy_text,
        "plain COPY, binary": bench.copy_binary,
        "the sink": bench.sink,
        "a whole fetch": bench.whole_fetch,
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, call in ways.items():
            bench.clear()
            taken[way].append(seconds(call))
    medians = {way: statistics.median(times) for way, times in taken.items()}
    reference = min(medians["plain COPY, text"], medians["plain COPY, binary"])
    for way, median in medians.items():
        spread = f"{min(taken[way]):.2f} to {max(taken[way]):.2f}"
        print(f"{way:20} {median:6.2f} s  ({spread})  ratio {median / reference:.2f}")


def replacements(bench: Bench, runs: int) -> None:
    """Print ways to replace a table, by its own rows and by rows that all differ.

    The new rows lie in a table beside it, and getting them there is not timed.
    """
    for what, change in (("equal", ""), ("changed", " || '{\"changed\":1}'")):
        taken: dict[str, list[float]] = {}
        for _ in range(runs):
            for way, replace in _WAYS_TO_REPLACE.items():
                _lay(bench, change)
                taken.setdefault(way, []).append(replace(bench))
        for way, times in taken.items():
            print(f"replace by {what} rows: {way:16} {statistics.median(times):6.2f} s")


def _lay(bench: Bench, change: str) -> None:
    bench.clear()
    bench.copy_text()
    bench.statements(
        _CREATE.format("profiles"),
        _CREATE.format("staged"),
        "INSERT INTO staged SELECT * FROM plain",
        f"INSERT INTO profiles SELECT distinct_id, properties{change}, last_seen FROM plain",
    )
    bench.connection.execute("VACUUM ANALYZE profiles")


def _by_truncate(bench: Bench) -> float:
    return _by_statements(bench, "TRUNCATE profiles")


def _by_delete(bench: Bench) -> float:
    return _by_statements(bench, "DELETE FROM profiles")


def _by_statements(bench: Bench, statement: str) -> float:
    bench.connection.execute("CHECKPOINT")
    insert = f"INSERT INTO profiles SELECT {_COLUMNS} FROM staged"
    return seconds(lambda: bench.statements(statement, insert))


def _by_sink(bench: Bench) -> float:
    engine, load = bench.landed("replace")
    bench.connection.execute("CHECKPOINT")
    try:
        return seconds(load.commit)
    finally:
        engine.close()


_WAYS_TO_REPLACE: dict[str, Callable[[Bench], float]] = {
    "TRUNCATE, INSERT": _by_truncate,
    "DELETE, INSERT": _by_delete,
    "the sink": _by_sink,
}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profiles", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--replace", action="store_true", help="ways to replace a table instead")
    given = parser.parse_args()
    tests = Path(__file__).parents[1] / "tests" / "conftest.py"
    server = runpy.run_path(str(tests))["Server"]()
    try:
        with SimulatorProcess(profiles=given.profiles) as simulator:
            bench = Bench(server, simulator)
            size = sum(len(text) for _, page in bench.pages for text in page.properties)
            print(
                f"{len(bench.texts):,} profiles of {size // len(bench.texts)} bytes in"
                f" {len(bench.pages)} pages, PostgreSQL {bench.connection.info.server_version}"
            )
            (replacements if given.replace else ratios)(bench, given.runs)
            bench.connection.close()
    finally:
        server.remove()


if __name__ == "__main__":
    main()
