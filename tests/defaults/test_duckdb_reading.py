"""Reading a DuckDB file: its tables, and answers to queries."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone

import duckdb
import pytest

from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.reading import TableInfo

COLUMNS = (("distinct_id", "VARCHAR"), ("properties", "JSON"), ("last_seen", "TIMESTAMP"))


@pytest.fixture
def filled(kit, path):
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "b"), 1: kit.batch("c", value="x")})
    return path


@pytest.fixture
def engine(filled):
    engine = DuckDBEngine(filled)
    yield engine
    engine.close()


# Tables


def test_tables_are_the_users_own(kit, path, engine):
    kit.make(
        path,
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.deals AS SELECT 1 AS n FROM range(4)",
        "CREATE VIEW seen AS SELECT * FROM users WHERE distinct_id <> 'a'",
    )
    kit.make(path, 'CREATE TABLE "_mixpanel_fetch_staging_run-2" AS SELECT 1 AS n')
    assert engine.tables() == [
        TableInfo("sales.deals", 4, (("n", "INTEGER"),), holds_profiles=False),
        TableInfo("seen", 2, COLUMNS),
        TableInfo("users", 3, COLUMNS),
    ]


def test_a_view_of_nothing_is_left_out_and_logged(kit, path, engine, caplog):
    kit.make(path, "CREATE TABLE gone (a INT)", "CREATE VIEW v AS FROM gone", "DROP TABLE gone")
    assert [table.name for table in engine.tables()] == ["users"]
    assert "v is left out" in caplog.text


def test_a_missing_file_is_refused_and_not_made(path):
    engine = DuckDBEngine(path)
    for ask in (
        engine.tables,
        lambda: engine.query("SELECT 1"),
        lambda: engine.inspect("users"),
    ):
        with pytest.raises(ConfigError, match=r"there is no file .*r\.db; `mp fetch profiles`"):
            ask()
    assert not path.exists()


def test_what_is_no_database_is_refused_in_one_line(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database at all" * 1000)
    for where, words in ((notes, "cannot read .*notes.txt: "), (tmp_path, "it is a directory")):
        with pytest.raises(ConfigError, match=words) as caught:
            DuckDBEngine(where).tables()
        assert "\n" not in str(caught.value)


def test_a_file_that_may_only_be_read_is_read(filled):
    filled.chmod(0o444)
    filled.parent.chmod(0o555)
    try:
        assert DuckDBEngine(filled).tables()[0].rows == 3
    finally:
        filled.parent.chmod(0o755)


def test_several_read_at_once(filled):
    reader = f"""
import duckdb
c = duckdb.connect({str(filled)!r}, read_only=True)
print(c.execute("SELECT count(*) FROM users").fetchone(), flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "(3,)\n"
        assert list(DuckDBEngine(filled).query("SELECT count(*) FROM users")) == [(3,)]
        other.communicate("\n")


def test_a_file_that_a_fetch_holds_names_the_other_process(filled):
    writer = f"""
import duckdb
c = duckdb.connect({str(filled)!r})
print("open", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ConfigError, match=rf"\(pid {other.pid}\); let it finish"):
            DuckDBEngine(filled).tables()
        other.communicate("\n")


def test_a_file_that_this_process_has_open_is_shared(filled):
    with duckdb.connect(str(filled)) as connection:
        before = connection.execute("SELECT current_setting('memory_limit')").fetchone()
        engine = DuckDBEngine(filled)
        assert engine.tables()[0].rows == 3
        with pytest.raises(ConfigError, match="read-only"):
            list(engine.query("EXPLAIN ANALYZE DELETE FROM users"))
        engine.close()
        assert connection.execute("SELECT current_setting('memory_limit')").fetchone() == before
        connection.execute("DELETE FROM users")


def test_the_connection_of_the_host_stays_open_and_as_it_is_set():
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        engine = DuckDBEngine(connection=connection)
        assert engine.tables() == [TableInfo("t", 1, (("n", "INTEGER"),), holds_profiles=False)]
        answer = engine.query("FROM t")
        engine.close()
        with pytest.raises(ConfigError, match="read-only"):
            list(engine.query("EXPLAIN ANALYZE INSERT INTO t VALUES (2)"))
        engine.close()
        del answer
        assert connection.execute("FROM t").fetchall() == [(1,)]
        assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == (
            "Asia/Tokyo",
        )


def test_a_load_under_way_can_be_read_beside(kit, path):
    engine = DuckDBEngine(path)
    load = engine.begin("users", "create", kit.run_info())
    load.write(0, kit.batch("a"))
    assert engine.tables() == []
    assert list(engine.query("SELECT 1")) == [(1,)]
    load.write(1, kit.batch("b"))
    load.commit()
    engine.close()
    assert kit.values(path) == {"a": "1", "b": "1"}


# Queries


def test_an_answer_has_columns_types_and_rows(engine):
    answer = engine.query(
        "SELECT distinct_id, properties->>'v' AS v, 1 AS v, last_seen FROM users ORDER BY 1"
    )
    assert list(answer.columns) == ["distinct_id", "v", "v", "last_seen"]
    assert list(answer.types) == ["VARCHAR", "VARCHAR", "INTEGER", "TIMESTAMP"]
    seen = datetime(2026, 1, 2, 3, 4, 5, 678901)
    assert list(answer) == [("a", "1", 1, seen), ("b", "1", 1, seen), ("c", "x", 1, seen)]


def test_rows_come_while_they_are_read(engine):
    rows = iter(engine.query("FROM range(1_000_000_000_000)"))
    assert [next(rows) for _ in range(3)] == [(0,), (1,), (2,)]
    rows.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DESCRIBE users",
        "SHOW TABLES",
        "SUMMARIZE users",
        "VALUES (1)",
        "FROM users",
        "EXPLAIN FROM users",
        "WITH a AS (SELECT 1) FROM a;",
        "SELECT 1 -- ; DROP TABLE users",
    ],
)
def test_statements_that_read_are_answered(engine, statement):
    answer = engine.query(statement)
    assert next(len(row) for row in answer) == len(answer.columns)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE users", "DROP does more than read"),
        ("COPY users TO 'out.csv'", "COPY does more than read"),
        ("ATTACH 'other.db'", "ATTACH does more than read"),
        ("SET threads = 1", "SET does more than read"),
        ("SELECT 1; SELECT 2", "one statement at a time, not 2"),
        (" -- nothing", "the query is empty"),
        ("SELECT * FROM user", r'user does not exist; Did you mean "users"\?'),
        ("SELECT property FROM users", 'property" not found in FROM clause; Candidate bindings'),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT 'a", "unterminated"),
        ("SELECT CAST(properties->>'v' AS INT) FROM users", "Could not convert string 'x'"),
        ("SELECT * FROM statement", "statement does not exist"),
        ("FROM 'https://localhost/x.parquet'", "httpfs"),
    ],
)
def test_what_cannot_be_asked_is_one_line(engine, statement, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=words) as caught:
        list(engine.query(statement))
    assert "\n" not in str(caught.value)
    assert "LINE" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_query_that_needs_more_memory_than_it_may_take_says_so(filled):
    engine = DuckDBEngine(filled, memory_limit="100MB")
    with pytest.raises(StorageError, match="larger memory_limit"):
        list(engine.query("SELECT list(i) FROM range(100_000_000) t(i)"))


def test_an_answer_is_arrow_too(engine):
    arro3 = pytest.importorskip("arro3.core")
    table = arro3.Table.from_arrow(engine.query("SELECT distinct_id FROM users ORDER BY 1"))
    assert table["distinct_id"].to_pylist() == ["a", "b", "c"]


def test_an_answer_that_is_left_does_not_keep_the_file(filled):
    engine = DuckDBEngine(filled)
    next(iter(engine.query("FROM users")))
    engine.query("FROM users")
    engine.close()
    engine.close()
    with duckdb.connect(str(filled)) as connection:
        connection.execute("DELETE FROM users")


def test_an_instant_with_a_zone_comes_in_utc(engine):
    if duckdb.__version__.startswith("1."):
        pytest.importorskip("pytz")
    ((instant,),) = engine.query("SELECT TIMESTAMPTZ '2026-01-01 00:00:00+03'")
    assert instant == datetime(2025, 12, 31, 21, tzinfo=timezone.utc)
    assert instant.utcoffset().total_seconds() == 0
