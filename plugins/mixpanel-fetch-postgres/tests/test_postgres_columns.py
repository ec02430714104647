"""Properties as typed columns of a view: each shows its own values, and nothing else of them."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest
from mixpanel_fetch_postgres import open_sink

from mixpanel_fetch.columns import Column, ColumnMapping
from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.typed_columns import NULL_TEXTS, keep_columns

UTC = timezone.utc


@pytest.fixture
def table_of(place):
    def make(rows, kind="jsonb"):
        place.make(
            f"CREATE TABLE t (distinct_id text PRIMARY KEY, properties {kind}, last_seen timestamp)"
        )
        for number, properties in enumerate(rows):
            text = json.dumps(properties)
            with place.connect() as connection:
                connection.execute(
                    f"INSERT INTO t VALUES (%s, %s::{kind})", [f"id{number:03}", text]
                )

    return make


@pytest.fixture
def view_of(place, engine):
    def make(null_texts=()):
        """Make the view; return the columns' types by property, and the rows by property."""
        seen = engine.property_kinds("t", null_texts)
        columns = ColumnMapping().evolved(seen).columns
        engine.show_columns("t", "v", columns, null_texts)
        rows = place.query("SELECT * FROM v ORDER BY distinct_id")
        names = [column.property for column in columns]
        return (
            {column.property: column.type for column in columns},
            [dict(zip(names, row[1:-1], strict=True)) for row in rows],
        )

    return make


def columns_of(place):
    return [
        name
        for (name,) in place.query(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'v'"
            " ORDER BY ordinal_position"
        )
    ]


@pytest.mark.parametrize("kind", ["jsonb", "json"])
@pytest.mark.parametrize(
    ("values", "wanted", "shown"),
    [
        ([1, None, -(2**63)], "integer", [1, None, -(2**63)]),
        ([1, 2.5, -1e-310], "number", [1.0, 2.5, -1e-310]),
        ([2**63, 1], "json", [2**63, 1]),
        (["2026-01-31", None], "date", [date(2026, 1, 31), None]),
        (["2024-02-29", "2000-02-29"], "date", [date(2024, 2, 29), date(2000, 2, 29)]),
        (["2026-02-29"], "text", ["2026-02-29"]),
        (["1900-02-29"], "text", ["1900-02-29"]),
        (["0000-01-01"], "text", ["0000-01-01"]),
        (
            [
                "2026-01-31T10:00:00",
                "2026-01-31T10:00:00+02:00",
                "2026-01-31",
                "2026-01-31 10:00Z",
                "2026-01-31T10:00:00.25-0130",
            ],
            "instant",
            [
                datetime(2026, 1, 31, 10, tzinfo=UTC),
                datetime(2026, 1, 31, 8, tzinfo=UTC),
                datetime(2026, 1, 31, tzinfo=UTC),
                datetime(2026, 1, 31, 10, tzinfo=UTC),
                datetime(2026, 1, 31, 11, 30, 0, 250000, tzinfo=UTC),
            ],
        ),
        (["2026-02-31", "2026-01-31"], "text", ["2026-02-31", "2026-01-31"]),
        (["1", 1], "json", ["1", 1]),
        ([True, False], "boolean", [True, False]),
        ([{"a": 1}, [1]], "json", [{"a": 1}, [1]]),
    ],
)
def test_types_follow_what_was_seen(  # noqa: PLR0917
    table_of, view_of, values, wanted, shown, kind
):
    table_of([{"p": value} for value in values], kind)
    types, rows = view_of()
    assert types == {"p": wanted}
    assert [row["p"] for row in rows] == shown


@pytest.mark.parametrize(
    ("kind", "held", "others"),
    [
        ("boolean", True, ["true", "t", 1, 0, [True]]),
        ("integer", -3, [2.5, 1.0, "3", "3.5", True, 2**63, [3], 10**400]),
        ("number", 2.5, ["2.5", "nan", True, [2.5], 10**400]),
        ("date", "2026-01-31", ["epoch", "infinity", "2026-1-31", "2026-02-31", 2026, "x"]),
        ("date", "2026-01-31", ["2026-01-31\n", "2026-01-31T10:00:00", "12026-01-31"]),
        ("instant", "2026-01-31T10:00:00Z", ["now", "2026-01-31T25:00:00", "2026-1-31", 7]),
        ("instant", "2026-01-31", ["2026-02-31T10:00:00", "2026-01-31T10:00:00+16:00", "10:00Z"]),
        ("instant", "2026-01-31", ["2026-01-31T10:60", "2026-01-31T10:00:61", "today T10:00Z"]),
        ("text", "x", [5, True, 2.5, ["x"], {"x": "x"}]),
        ("json", [1], [None]),
    ],
)
def test_what_a_column_does_not_hold_is_null_and_no_error(  # noqa: PLR0917
    table_of, place, engine, kind, held, others
):
    table_of([{"p": value} for value in [held, *others]])
    engine.show_columns("t", "v", [Column("p", "p", kind)])
    shown = [value for (value,) in place.query("SELECT p FROM v ORDER BY distinct_id")]
    assert shown[0] is not None
    assert shown[1:] == [None] * len(others)
    assert engine.property_kinds("t")["p"].values()


def test_a_view_shows_the_same_in_every_session(table_of, place, engine):
    table_of([{"p": "2026-07-01T10:00:00", "q": "a\\b'c%d{e}"}])
    engine.show_columns("t", "v", [Column("p", "p", "instant"), Column("q", "q", "text")])
    with place.connect() as other:
        other.execute("SET TimeZone = 'America/New_York'")
        other.execute("SET DateStyle = 'SQL, DMY'")
        other.execute("SET standard_conforming_strings = off")
        found = other.execute("SELECT extract(epoch FROM p)::bigint, q FROM v").fetchone()
    assert found == (int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()), "a\\b'c%d{e}")


def test_texts_that_stand_for_null_are_null_where_that_is_wanted(table_of, view_of):
    table_of([{"p": "<null>"}, {"p": 3}, {"p": "undefined"}, {"q": "a\\'b"}])
    assert view_of()[0]["p"] == "json"
    types, shown = view_of([*NULL_TEXTS, "a\\'b", "\0", "\ud800"])
    assert types == {"p": "integer", "q": "text"}
    assert [row["p"] for row in shown] == [None, 3, None, None]
    assert {row["q"] for row in shown} == {None}


def test_more_properties_than_a_view_has_columns_are_refused(table_of, view_of, refused):
    table_of([{f"p{number}": number for number in range(1598)}])
    _, [row] = view_of()
    assert row == {f"p{number}": number for number in range(1598)}


def test_a_view_of_too_many_columns_is_refused(table_of, engine, refused):
    table_of([{}])
    columns = [Column(f"p{number}", f"p{number}", "text") for number in range(1599)]
    assert "at most 1,600 columns" in refused(engine.show_columns, "t", "v", columns)


def test_a_view_that_grows_stays_what_others_built_upon(table_of, place, engine):
    table_of([{"a": 1, "b": 2, "aa": 3}])
    one, two, new = (Column(name, name, "integer") for name in ("a", "b", "aa"))
    engine.show_columns("t", "v", [one, two])
    place.make("CREATE VIEW upon AS SELECT a + b AS c FROM v", "GRANT SELECT ON v TO PUBLIC")
    ((before,),) = place.query("SELECT 'v'::regclass::oid::int")
    engine.show_columns("t", "v", [one, new, two])
    assert place.query("SELECT 'v'::regclass::oid::int, c, aa FROM upon, v") == [(before, 3, 3)]
    assert columns_of(place) == ["distinct_id", "a", "b", "last_seen", "aa"]


def test_a_view_that_changes_keeps_its_readers_and_its_comment(table_of, place, engine):
    table_of([{"a": 1}])
    engine.show_columns("t", "v", [Column("a", "a", "integer")])
    place.make("GRANT SELECT ON v TO PUBLIC", "COMMENT ON VIEW v IS 'it''s 100%'")
    engine.show_columns("t", "v", [Column("a", "a", "number")])
    kept = "SELECT relacl::text LIKE '%%=r/%%', obj_description(oid) FROM pg_class"
    assert place.query(f"{kept} WHERE relname = %s", "v") == [(True, "it's 100%")]
    assert place.query("SELECT a FROM v") == [(1.0,)]
    place.make("CREATE VIEW upon AS SELECT a FROM v")
    with pytest.raises(StorageError, match="other objects depend on it"):
        engine.show_columns("t", "v", [Column("a", "other", "number")])
    assert columns_of(place) == ["distinct_id", "a", "last_seen"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("CREATE TABLE v ()", "is a table; choose another name for the view with --view"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "is a materialized view"),
        ("ALTER TABLE t ADD a int", "column a of t has the name"),
    ],
)
def test_a_view_takes_the_place_of_nothing_else(table_of, place, engine, make, words):
    table_of([{"a": 1}])
    place.make(make)
    with pytest.raises(ConfigError, match=words):
        engine.show_columns("t", "v", [Column("a", "a", "integer")])


def test_a_view_is_not_made_of_itself(table_of, engine):
    table_of([{"a": 1}])
    engine.show_columns("t", "v", [])
    engine.show_columns("t", "v", [Column("a", "properties", "json")])
    with pytest.raises(ConfigError, match="v is a view; choose another name"):
        engine.show_columns("v", "v", [Column("a", "b", "integer")])


def test_a_question_for_one_profile_finds_it_by_its_index(table_of, place, engine):
    table_of([{"a": number} for number in range(3)])
    engine.show_columns("t", "v", [Column("a", "a", "integer")])
    with place.connect() as connection:
        connection.execute("SET enable_seqscan = off")  # which is quicker in a table as small
        plan = connection.execute("EXPLAIN SELECT a FROM v WHERE distinct_id = 'id007'").fetchall()
    assert "Index Cond: (distinct_id = 'id007'::text)" in "".join(line for (line,) in plan)


def test_columns_are_kept_as_a_table_is_fetched_again(kit, engine, place, tmp_path):
    file = tmp_path / "users.json"
    for value in (1, "2026-01-31"):
        kit.fetch(engine, {0: kit.batch("a", value=value)}, "replace")
        report = keep_columns(engine, "users", file, on_drift="evolve")
        engine.close()
    assert [(one.name, one.type) for one in report.columns] == [("v", "json")]
    assert report.drift.changed == ("v",)
    sink = open_sink(place.location)
    answer = sink.query("SELECT distinct_id, v, last_seen FROM users_columns")
    assert [row[:2] for row in answer] == [("a", '"2026-01-31"')]
    sink.close()
