"""Properties as typed columns of a view: each shows its own value, whatever it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch import ConfigError, TableNotFoundError
from mixpanel_fetch.columns import Column, ColumnMapping
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import DriftError
from mixpanel_fetch.typed_columns import NULL_TEXTS, keep_columns

NAMES = st.sampled_from(["$name", "name", "Name", "NAME", "select", "a/b", "~", "", "a" * 300]) | (
    st.text(max_size=12)
)
VALUES = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    | st.lists(st.integers(), max_size=2)
)


def table_of(rows):
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    for number, properties in enumerate(rows):
        text = json.dumps(properties)
        connection.execute("INSERT INTO t VALUES ($1, $2, NULL)", [f"id{number}", text])
    return connection


def view_of(connection, null_texts=()):
    """Make the view; return the columns' types by property, and the rows by property."""
    engine = DuckDBEngine(connection=connection)
    columns = ColumnMapping().evolved(engine.property_kinds("t", null_texts)).columns
    engine.show_columns("t", "v", columns, null_texts)
    engine.close()
    names = [column.property for column in columns]
    rows = connection.execute("SELECT * FROM v ORDER BY distinct_id").fetchall()
    return (
        {column.property: column.type for column in columns},
        [dict(zip(names, row[1:-1], strict=True)) for row in rows],
    )


@settings(deadline=None)  # it opens a database
@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_every_column_holds_its_own_propertys_value(properties):
    types, [row] = view_of(table_of([properties]))
    assert row.keys() == properties.keys()
    for name, value in properties.items():
        shown = row[name]
        if types[name] == "json":
            shown = json.loads(shown)
        if types[name] not in {"date", "instant"}:
            assert shown == value
            assert isinstance(shown, type(value))


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([1, None, -(2**63)], "integer", [1, None, -(2**63)]),
        ([1, 2.5], "number", [1.0, 2.5]),
        ([2**63, 1], "json", [str(2**63), "1"]),
        (["2026-01-31", None], "date", [date(2026, 1, 31), None]),
        (
            ["2026-01-31T10:00:00", "2026-01-31T10:00:00+02:00", "2026-01-31"],
            "instant",
            [datetime(2026, 1, 31, 10), datetime(2026, 1, 31, 8), datetime(2026, 1, 31)],
        ),
        (["2026-02-31", "2026-01-31"], "text", ["2026-02-31", "2026-01-31"]),
        (["1", 1], "json", ['"1"', "1"]),
        ([True, False], "boolean", [True, False]),
        ([{"a": 1}, [1]], "json", ['{"a":1}', "[1]"]),
    ],
)
def test_types_follow_what_was_seen(values, kind, shown):
    connection = table_of([{"p": value} for value in values])
    types, rows = view_of(connection)
    assert types == {"p": kind}
    assert [row["p"].replace(" ", "") if kind == "json" else row["p"] for row in rows] == shown


@pytest.mark.parametrize(
    ("kind", "held", "others"),
    [
        ("boolean", True, ["true", "t", 1, 0, [True]]),
        ("integer", -3, [2.5, 1.0, "3", "3.5", True, 2**63, [3]]),
        ("number", 2.5, ["2.5", "nan", True, [2.5]]),
        ("date", "2026-01-31", ["epoch", "infinity", "2026-1-31", "2026-02-31", 2026, "x"]),
        ("instant", "2026-01-31T10:00:00Z", ["now", "2026-01-31T25:00:00", "2026-1-31", 7]),
        ("text", "x", [5, True, 2.5, ["x"], {"x": "x"}]),
        ("json", [1], [None]),
    ],
)
def test_what_a_column_does_not_hold_is_null_and_no_other_value(kind, held, others):
    connection = table_of([{"p": value} for value in [held, *others]])
    engine = DuckDBEngine(connection=connection)
    engine.show_columns("t", "v", [Column("p", "p", kind)])
    engine.close()
    shown = [
        value for (value,) in connection.execute("SELECT p FROM v ORDER BY distinct_id").fetchall()
    ]
    assert shown[0] is not None
    assert shown[1:] == [None] * len(others)


def test_texts_that_stand_for_null_are_null_where_that_is_wanted():
    rows = [{"p": "<null>"}, {"p": 3}, {"p": "undefined"}]
    assert view_of(table_of(rows))[0] == {"p": "json"}
    types, shown = view_of(table_of(rows), NULL_TEXTS)
    assert types == {"p": "integer"}
    assert [row["p"] for row in shown] == [None, 3, None]
    _, shown = view_of(table_of([*rows, {"p": [1]}, {"p": None}]), NULL_TEXTS)
    assert [row["p"] for row in shown] == [None, "3", None, "[1]", None]


def test_two_thousand_properties_are_columns_too():
    properties = {f"p{number}": number for number in range(2000)}
    _, [row] = view_of(table_of([properties]))
    assert row == properties


@pytest.fixture
def keep(tmp_path):
    def run(rows, **wish):
        file = tmp_path / "columns.duckdb"
        with duckdb.connect(str(file)) as connection:
            connection.execute("CREATE OR REPLACE TABLE t (distinct_id VARCHAR, properties JSON)")
            for properties in rows:
                connection.execute("INSERT INTO t VALUES ('a', $1)", [json.dumps(properties)])
        report = keep_columns(DuckDBEngine(file), "t", tmp_path / "t.json", **wish)
        with duckdb.connect(str(file), read_only=True) as connection:
            return report, connection.execute(f"DESCRIBE {report.view}").fetchall()

    return run


def test_drift_is_told_fails_or_is_taken_in(keep):
    _, before = keep([{"a": 1}])
    assert [row[:2] for row in before] == [("distinct_id", "VARCHAR"), ("a", "BIGINT")]
    report, same = keep([{"a": "x", "b": 1}])
    assert (same, str(report.drift)) == (before, "1 new: b; 1 of another type: a")
    with pytest.raises(DriftError, match="1 new: b"):
        keep([{"a": "x", "b": 1}], on_drift="fail")
    report, after = keep([{"a": "x", "b": 1}], on_drift="evolve")
    assert report.evolved
    assert [row[:2] for row in after[1:]] == [("a", "JSON"), ("b", "BIGINT")]
    assert not keep([{"a": "x", "b": 1}])[0].drift


def test_what_cannot_be_is_refused(keep, tmp_path):
    keep([{"a": 1}])
    engine = DuckDBEngine(tmp_path / "columns.duckdb")
    with pytest.raises(ConfigError, match="T is a table"):
        keep_columns(engine, "t", tmp_path / "x.json", view="T")
    with pytest.raises(TableNotFoundError, match="no table nothing"):
        keep_columns(engine, "nothing", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()
    with pytest.raises(ConfigError, match=r"none\.duckdb"):
        keep_columns(DuckDBEngine(tmp_path / "none.duckdb"), "t", tmp_path / "x.json")
    assert not (tmp_path / "none.duckdb").exists()


def test_a_destination_that_shows_no_columns_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_fetch.cli", "columns", "t", "--to", "jsonl:///t.jsonl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 3
    assert (
        "jsonl:///t.jsonl cannot show properties as columns; duckdb and postgresql can"
        in done.stderr
    )
    assert [*tmp_path.iterdir()] == []
