"""The sink ``parquet`` keeps what the kit asks of any sink, in an object store as well."""

from __future__ import annotations

import json

import duckdb
import pytest

from mixpanel_fetch.testing import SinkCase, SinkTests

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover


def rows_of(lake, folder):
    """Return what reads the last load date of a table, by way of ``folder``."""

    def rows(table):
        keys = [key for key in lake.listed() if key.startswith(f"lake/{table}/")]
        if not keys:
            return None
        copy = folder / "copy.parquet"
        copy.write_bytes(lake.get(max(keys)))
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet($1)", [str(copy)]).fetchall()
        return [
            {"distinct_id": one, "properties": json.loads(properties), "last_seen": last_seen}
            for one, properties, last_seen in found
        ]

    return rows


class TestParquetInAStore(SinkTests):
    @pytest.fixture
    def case(self, lake, tmp_path):
        secret = "k1tSecretAccessKey"
        options = f"access_key_id=AKIDKIT&secret_access_key={secret}"
        return SinkCase(
            f"parquet://{lake.location}?{options}",
            rows=rows_of(lake, tmp_path),
            secrets=[secret, "AKIDKIT"],
            unusable=f"parquet://s3://no-such-bucket/lake/{{table}}?{options}",
        )


class TestParquetInAFolder(SinkTests):
    @pytest.fixture
    def case(self, tmp_path):
        def rows(table):
            parts = sorted((tmp_path / "lake" / table).rglob("*.parquet"))
            if not parts:
                return None
            with duckdb.connect() as connection:
                query = "SELECT * FROM read_parquet($1, hive_partitioning = false)"
                found = connection.execute(query, [str(parts[-1])]).fetchall()
            return [
                {"distinct_id": one, "properties": json.loads(text), "last_seen": seen}
                for one, text, seen in found
            ]

        (tmp_path / "lake").mkdir()
        return SinkCase(
            f"parquet:///{tmp_path}/lake/{{table}}?partition=load_date",
            rows=rows,
            unusable=f"parquet:///{tmp_path}/none/{{table}}?partition=load_date",
        )
