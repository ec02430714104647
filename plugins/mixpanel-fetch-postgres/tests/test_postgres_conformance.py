"""The conformance kit for sinks, on the sink as a user names it."""

from __future__ import annotations

import json
import socket
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from mixpanel_fetch.testing import SinkCase, SinkTests


def numeric(value):
    """Return a value with numbers as jsonb has them: decimals, without an exponent or -0.

    Whole ones come back as int, for jsonb writes 1E+2 as 100 and 3.0 as 3.0.
    """
    if isinstance(value, dict):
        return {key: numeric(one) for key, one in value.items()}
    if isinstance(value, list):
        return [numeric(one) for one in value]
    if not isinstance(value, float):
        return value
    exact = Decimal(repr(value))
    return int(exact) if exact == exact.to_integral_value() else value


class TestPostgres(SinkTests):
    @pytest.fixture
    def case(self, place):
        def rows(table):
            with place.connect() as connection:
                set_json_loads(lambda text: numeric(json.loads(text)), context=connection)
                cursor = connection.cursor(row_factory=dict_row)
                try:
                    return cursor.execute(f'SELECT * FROM "{table}"'.encode()).fetchall()
                except psycopg.errors.UndefinedTable:
                    return None

        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        return SinkCase(
            place.uri,
            rows=rows,
            versions=lambda table: rows(f"{table}_history"),
            stored=lambda row: {**row, "properties": numeric(row["properties"])},
            replaced={"\0": "\ufffd"},
            secrets=["pa55%20w0rd", "pa55 w0rd"],
            unusable=f"postgresql://tester:pa55%20w0rd@127.0.0.1:{port}/postgres",
            # A killed process's connection ends, and so does what its server process was about.
            crash=lambda engine: engine._db and engine._db.connection.close(),
        )
