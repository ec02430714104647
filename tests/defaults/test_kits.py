"""The built-in plugins pass the conformance kits that third parties are given."""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.testing import (
    ExecutorCase,
    ExecutorTests,
    SinkCase,
    SinkTests,
    StrategyCase,
    StrategyTests,
    TransformCase,
    TransformTests,
)


def from_duckdb(path: Path):
    def rows(table):
        if not path.exists():
            return None
        with duckdb.connect(str(path)) as connection:
            there = connection.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE table_name = $1", [table]
            ).fetchone()
            if there == (0,):
                return None
            return rows_in(connection, table)

    return rows


def rows_in(connection, table):
    """The rows of a table or a history, whatever columns it has."""
    found = connection.execute(f'SELECT * FROM "{table}"')
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [row | {"properties": json.loads(row["properties"])} for row in rows]


def row_of(distinct_id, properties, last_seen):
    return {
        "distinct_id": distinct_id,
        "properties": json.loads(properties),
        "last_seen": last_seen,
    }


class TestDuckDB(SinkTests):
    @pytest.fixture(params=["", "?index=none"])
    def case(self, request, tmp_path):
        path = tmp_path / "r.db"
        rows = from_duckdb(path)
        return SinkCase(
            f"duckdb:///{path}{request.param}",
            rows=rows,
            unusable=f"duckdb:///{tmp_path}/none/r.db",
            versions=lambda table: rows(f"{table}_history"),
        )


def from_jsonl(path: Path):
    def rows(table):
        if not path.exists():
            return None
        text = path.read_bytes()
        if path.suffix == ".gz":
            text = gzip.decompress(text)
        return [jsonl_row(json.loads(line)) for line in text.splitlines()]

    return rows


def jsonl_row(row):
    seen = row["last_seen"]
    if seen is not None:
        seen = datetime.fromisoformat(seen.replace("Z", "+00:00"))
    return {**row, "last_seen": seen}


def from_parquet(path: Path):
    def rows(table):
        if not path.exists():
            return None
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet($1)", [str(path)]).fetchall()
        return [row_of(*row) for row in found]

    return rows


@pytest.mark.no_cover  # TestDuckDB covers the same lines
class TestDuckDBOfTheHost(SinkTests):
    """An engine over a connection that a program hands in."""

    @pytest.fixture
    def case(self):
        connection = duckdb.connect()

        def rows(table):
            try:
                return rows_in(connection.cursor(), table)
            except duckdb.CatalogException:
                return None

        yield SinkCase(
            engine=lambda: DuckDBEngine(connection=connection),
            rows=rows,
            versions=lambda table: rows(f"{table}_history"),
        )
        connection.close()


class TestJsonl(SinkTests):
    @pytest.fixture(params=["out.jsonl", "out.jsonl.gz"])
    def case(self, request, tmp_path):
        path = tmp_path / request.param
        return SinkCase(
            f"jsonl:///{path}",
            rows=from_jsonl(path),
            unusable=f"jsonl:///{tmp_path}/none/out.jsonl",
        )


class TestJsonlStdout(SinkTests):
    @pytest.fixture
    def case(self, capsysbinary):
        sent = io.BytesIO()

        def rows(table):
            sent.write(capsysbinary.readouterr().out)
            return [jsonl_row(json.loads(line)) for line in sent.getvalue().splitlines()]

        return SinkCase("jsonl://-", rows=rows)


class TestParquet(SinkTests):
    @pytest.fixture
    def case(self, tmp_path):
        path = tmp_path / "out.parquet"
        return SinkCase(
            f"parquet:///{path}",
            rows=from_parquet(path),
            unusable=f"parquet:///{tmp_path}/none/out.parquet",
        )


class TestGeventPool(StrategyTests):
    @pytest.fixture
    def case(self):
        return StrategyCase("gevent-pool", max_workers=4)


class TestSequential(StrategyTests):
    @pytest.fixture
    def case(self):
        return StrategyCase("sequential")


class TestShape(TransformTests):
    @pytest.fixture(
        params=[
            "select:plan,$email,text",
            "drop:plan,$last_seen",
            "rename:plan=tier,$email=email",
            "rename:n=m,m=n",
        ]
    )
    def case(self, request):
        swaps = request.param == "rename:n=m,m=n"
        return TransformCase(
            request.param,
            rows=[{"distinct_id": "a", "properties": {"plan": "free", "tier": 1, "n": 2**70}}],
            changes_values=swaps,
        )


class TestThreads(ExecutorTests):
    @pytest.fixture
    def case(self):
        return ExecutorCase("threads")


class TestProcesses(ExecutorTests):
    @pytest.fixture
    def case(self):
        return ExecutorCase("processes")
