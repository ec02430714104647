from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.defaults.duckdb_sink.names import TableName, fold, quoted
from mixpanel_fetch.errors import ConfigError


@pytest.mark.parametrize(
    "name",
    [
        'with "quotes"',
        "it's; DROP TABLE users; --",
        "select",
        "naïve 表 🎈",
        " padded ",
        "a" * 255,
        "main.users",
        "/* x */",
        "{}",
        "$1",
        "%s\\",
    ],
)
def test_any_other_name_works_as_it_is_typed(kit, path, name):
    for mode in ("create", "merge", "replace"):
        kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "a")}, mode, table=name)
    table = name.partition(".")[2] or name
    assert kit.query(path, "SHOW TABLES") == [(table,)]
    assert DuckDBEngine(path).count(name) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is no table name"),
        ("   ", "is no table name"),
        (".a", "is no table name"),
        ("a.", "is no table name"),
        ("a.b.c", "is no table name"),
        ("a\0b", "control or broken"),
        ("a\nb", "control or broken"),
        ("\x7f", "control or broken"),
        ("a\ud800", "control or broken"),
        ("a" * 256, "256 characters long"),
        ("_mixpanel_fetch_staging_x", "kept for mixpanel-fetch"),
        ("s._MIXPANEL_fetch_staging_x", "kept for mixpanel-fetch"),
        ("Mixpanel_Fetch.runs", "kept for mixpanel-fetch"),
    ],
)
def test_what_is_no_name_is_refused_in_one_printable_line(path, name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        DuckDBEngine(path).check(name, "create")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
    assert not path.exists()


def refusal(name):
    try:
        TableName.parse(name)
    except ConfigError as error:
        return str(error)
    return None


@given(st.text(max_size=260))
@settings(max_examples=100, deadline=None)
def test_a_name_is_refused_or_reads_back_as_it_was(name):
    refused = refusal(name)
    if refused is not None:
        assert refused.isprintable()
        return
    parsed = TableName.parse(name)
    assert str(parsed) == name.removeprefix("main.")
    with duckdb.connect() as connection:
        if parsed.schema != "main":
            if fold(parsed.schema) in ("main", "pg_catalog", "information_schema"):
                return
            connection.execute(f"CREATE SCHEMA {quoted(parsed.schema)}")
        connection.execute(f"CREATE TABLE {quoted(parsed.schema, parsed.table)} (a INT)")
        found = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
    assert found == [(parsed.schema, parsed.table)]
