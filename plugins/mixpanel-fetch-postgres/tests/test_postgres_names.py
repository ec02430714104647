from __future__ import annotations

import pytest
from mixpanel_fetch_postgres.engine import PostgresEngine

from mixpanel_fetch.errors import ConfigError


@pytest.mark.parametrize(
    "table", ["sales.users", "Users", 'a"b', "100%", "%s", "naïve tàble", "sales.%(x)s", "x" * 63]
)
@pytest.mark.parametrize("mode", ["create", "replace", "append"])
def test_a_name_is_taken_as_it_is(kit, place, engine, table, mode):
    place.make("CREATE SCHEMA sales")
    if mode != "create":
        kit.fetch(engine, {0: kit.batch("old")}, table=table)
    kit.fetch(engine, {0: kit.batch("a", "a", "b"), 1: kit.batch("b")}, mode, table=table)
    schema, _, name = table.rpartition(".")
    assert place.query(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'sales')"
    ) == [(schema or "public", name)]
    assert engine.count(table) == (3 if mode == "append" else 2)
    assert engine.interrupted(table) is None
    assert {record.info.table for record in engine.runs()} == {table}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("x" * 64, "too long for PostgreSQL: 64 bytes, at most 63"),
        ("ü" * 32, "64 bytes"),
        ("a.b.c", "is no table name"),
        (".users", "is no table name"),
        ("nul\0", "NUL"),
        ("lone\ud800", "not text"),
        ("mixpanel_fetch.x", "kept for mixpanel-fetch itself"),
        ("_mixpanel_fetch_staging_x", "kept for mixpanel-fetch itself"),
        ("nowhere.users", "there is no schema nowhere"),
    ],
)
def test_what_cannot_be_a_name_is_refused(engine, table, message):
    for call in (lambda: engine.check(table, "create"), lambda: engine.interrupted(table)):
        with pytest.raises(ConfigError, match=message) as caught:
            call()
        assert str(caught.value).isprintable()


def test_the_schema_of_a_bare_name(kit, place):
    place.make("CREATE SCHEMA crm", "CREATE SCHEMA first")
    kit.fetch(PostgresEngine(place.location, schema="crm"), {0: kit.batch("a")})
    assert place.values("crm.users") == {"a": "1"}
    kit.fetch(
        PostgresEngine(place.location, options="-c search_path=first"),
        {0: kit.batch("b")},
        run_id="other",
    )
    assert place.values("first.users") == {"b": "1"}
    engine = PostgresEngine(place.location, options="-c search_path=none")
    with pytest.raises(ConfigError, match="no schema of the search_path exists"):
        engine.check("users", "create")
    engine.close()


def test_run_ids_of_any_length(kit, place, engine):
    kit.fetch(engine, {0: kit.batch("a")}, run_id="r" * 200)
    assert place.values() == {"a": "1"}
