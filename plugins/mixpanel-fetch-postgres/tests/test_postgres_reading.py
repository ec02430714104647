"""Reading a database: its tables, answers to queries, and what the properties hold."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone

import pytest
from mixpanel_fetch_postgres.engine import PostgresEngine

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, TableNotFoundError
from mixpanel_fetch.reading import PropertySummary

COLUMNS = (
    ("distinct_id", "text"),
    ("properties", "jsonb"),
    ("last_seen", "timestamp with time zone"),
)


@pytest.fixture
def filled(kit, place, engine):
    kit.fetch(engine, {0: kit.batch("a", "b"), 1: kit.batch("c", value="x")})
    return engine


def test_tables_are_the_users_own(place, filled):
    place.make(
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.deals AS SELECT 1 AS n FROM generate_series(1, 4)",
        "CREATE VIEW seen AS SELECT * FROM users WHERE distinct_id <> 'a'",
        'CREATE TABLE "_mixpanel_fetch_staging_x" AS SELECT 1 AS n',
    )
    found = [(one.name, one.rows, one.columns, one.holds_profiles) for one in filled.tables()]
    assert found == [
        ("sales.deals", 4, (("n", "integer"),), False),
        ("seen", 2, COLUMNS, True),
        ("users", 3, COLUMNS, True),
    ]
    elsewhere = PostgresEngine(place.location, schema="sales")
    assert [one.name for one in elsewhere.tables()] == ["deals", "public.seen", "public.users"]


def test_what_may_not_be_read_is_left_out(place, filled):
    place.make(
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN PASSWORD 'pa55 w0rd'",
        "CREATE TABLE hidden AS SELECT 1 AS n",
        "GRANT USAGE ON SCHEMA public TO reader",
        "GRANT SELECT ON users TO reader",
    )
    reader = PostgresEngine(place.location.replace("tester", "reader", 1))
    assert [one.name for one in reader.tables()] == ["users"]
    place.make("DROP OWNED BY reader", "DROP ROLE reader")


def test_an_answer_has_columns_types_and_rows(filled):
    answer = filled.query(
        "SELECT distinct_id, properties, 1 AS n, 1 AS n, last_seen, '1%' AS p, 0.10 AS d"
        " FROM users WHERE distinct_id = 'c';"
    )
    assert list(answer.columns) == ["distinct_id", "properties", "n", "n", "last_seen", "p", "d"]
    assert list(answer.types)[:5] == ["text", "jsonb", "integer", "integer", COLUMNS[2][1]]
    ((distinct_id, properties, *_, seen, percent, decimal),) = answer
    assert (distinct_id, properties, percent, str(decimal)) == ("c", '{"v": "x"}', "1%", "0.10")
    assert seen == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


def test_rows_come_while_they_are_read(filled):
    rows = iter(filled.query("SELECT * FROM generate_series(1, 20000000)"))
    assert [next(rows) for _ in range(3)] == [(1,), (2,), (3,)]
    rows.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE users", "a query begins with SELECT, WITH, VALUES or TABLE"),
        ("SELECT 1; DROP TABLE users", "syntax error|multiple commands"),
        ("WITH gone AS (DELETE FROM users RETURNING 1) TABLE gone", "data-modifying"),
        ("SELECT setval('nothing', 1)", "does not exist"),
        ("SELECT * FROM user_s", 'relation "user_s" does not exist'),
        ("SELECT distinct_i FROM users", 'Perhaps you meant to reference the column "users.dist'),
        ("SELECT (properties->>'v')::int FROM users", "invalid input syntax for type integer"),
        ("SELECT 'a", "unterminated"),
        ("  ", "the query is empty"),
        ("SELECT '\0'", "NUL"),
    ],
)
def test_what_cannot_be_asked_is_one_line(place, filled, refused, statement, words):
    told = refused(lambda: list(filled.query(statement)))
    assert re.search(words, told), told
    assert sorted(place.values()) == ["a", "b", "c"]


def test_a_function_that_writes_is_refused(place, filled, refused):
    place.make(
        "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM users; SELECT 1'",
    )
    told = refused(lambda: list(filled.query("SELECT wipe()")))
    assert "read-only transaction" in told
    assert len(place.values()) == 3


def test_a_replica_that_only_reads_is_read(place, filled):
    place.make("ALTER DATABASE postgres SET default_transaction_read_only = on")
    try:
        assert list(PostgresEngine(place.location).query("SELECT count(*) FROM users")) == [(3,)]
    finally:
        place.make(
            "SET default_transaction_read_only = off",
            "ALTER DATABASE postgres RESET default_transaction_read_only",
        )


def test_inspect_counts_values_of_every_type(kit, place, engine):
    values = ["b", "a", "b", 1, "a", None, [1, {"x": None}], {"y": 2}, True, "z" * 200]
    names = ["v", "$a.b", 'say "hi"', "", "V"]
    rows = [
        {
            "distinct_id": str(i),
            "properties": dict.fromkeys(names if i < 2 else names[:1], value),
            "last_seen": datetime(2026, 1, 1, 23, tzinfo=timezone.utc) if i else None,
        }
        for i, value in enumerate(values)
    ]
    kit.fetch(engine, {0: Batch.from_rows(rows)})
    summary = engine.inspect("users", top=3)
    assert [one.name for one in summary.properties] == ["v", "", "$a.b", "V", 'say "hi"']
    assert summary.properties[0] == PropertySummary(
        "v",
        10,
        {"string": 5, "number": 1, "boolean": 1, "object": 1, "array": 1, "null": 1},
        7,
        top=(('"a"', 2), ('"b"', 2), ('"' + "z" * 78 + "…", 1)),
    )
    assert (summary.rows, summary.never_seen, summary.days) == (10, 1, ((date(2026, 1, 1), 9),))


def test_tables_are_found_by_their_name(place, filled, refused):
    place.make("CREATE TABLE plain AS SELECT 1 AS n", "CREATE VIEW few AS SELECT * FROM users")
    for name in ("users", "public.users", "few"):
        assert filled.inspect(name).rows == 3
    told = refused(lambda: filled.inspect("userz"), kind=TableNotFoundError)
    assert told == "there is no table userz; did you mean users?"
    assert "no column properties" in refused(lambda: filled.inspect("plain"))


def test_instants_that_python_cannot_hold_are_counted_as_never(place, filled):
    place.make("INSERT INTO users VALUES ('d', '{}', 'infinity'), ('e', '{}', '0044-03-15 BC')")
    summary = filled.inspect("users")
    assert (summary.never_seen, summary.days) == (2, ((date(2026, 1, 2), 3),))


def test_an_answer_is_left_and_the_engine_closed_twice(place, filled):
    next(iter(filled.query("SELECT * FROM users")))
    filled.query("SELECT * FROM users")
    filled.close()
    filled.close()
    ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert place.query(f"{ours} AND pid <> pg_backend_pid() AND state <> 'idle'") == [(0,)]


def test_a_server_that_is_not_there_is_one_line(refused):
    engine = PostgresEngine("tester:pa55%20w0rd@127.0.0.1:1/postgres")
    for ask in (engine.tables, lambda: engine.query("SELECT 1"), lambda: engine.inspect("users")):
        assert "cannot connect to" in refused(ask, kind=ConfigError)
