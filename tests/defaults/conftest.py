"""What the tests of the DuckDB sink share: the fixture ``kit``, and a ``path`` for a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.model import LoadReport, Mode, ProfileQuery, RunInfo

SEEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


def run_info(mode: Mode = "create", **changes: Any) -> RunInfo:
    fields: dict[str, Any] = {
        "run_id": "run-1",
        "table": "users",
        "mode": mode,
        "query": ProfileQuery(where='properties["a"]', output_properties=("a", "b")),
        "session_id": "session-1",
        "total": 10,
        "page_size": 5,
        "total_pages": 2,
        "transforms": ("select:a,b",),
        "fingerprint": {"query": "q", "project": "1"},
        "started_at": SEEN,
        "destination": "duckdb:///r.db",
    }
    return RunInfo(**{**fields, **changes})


def batch(*ids: str, value: Any = 1) -> Batch:
    return Batch.from_rows(
        {"distinct_id": i, "properties": {"v": value}, "last_seen": SEEN} for i in ids
    )


def fetch(
    engine: DuckDBEngine,
    pages: Mapping[int, Batch],
    mode: Mode = "create",
    table: str = "users",
    **changes: Any,
) -> LoadReport:
    """One run from check to close."""
    fields = {"run_id": f"run-{mode}", "table": table, "total_pages": len(pages), **changes}
    try:
        engine.check(table, mode)
        load = engine.begin(table, mode, run_info(mode, **fields))
        for index, page in pages.items():
            assert load.write(index, page) == len(page)
        return load.commit()
    finally:
        engine.close()


def query(path: Path, statement: str) -> list[Any]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(statement).fetchall()


def values(path: Path, table: str = "users") -> dict[str, str]:
    rows = query(path, f"SELECT distinct_id, properties->>'v' FROM {table}")
    assert len(rows) == len(dict(rows))
    return dict(rows)


def make(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def staged(path: Path) -> list[str]:
    names: Iterable[tuple[str]] = query(path, "SELECT table_name FROM duckdb_tables()")
    return [name for (name,) in names if name.startswith("_mixpanel_fetch_staging_")]


@pytest.fixture(scope="session")
def kit() -> Any:
    """This module: tests cannot import their neighbours in pytest's importlib mode."""
    return sys.modules[__name__]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.db"
