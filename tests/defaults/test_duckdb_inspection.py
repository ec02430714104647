"""What ``inspect`` says of a table, compared with a plain fold over the rows in Python."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink import inspection, listing
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import ConfigError, TableNotFoundError
from mixpanel_fetch.reading import JSON_TYPES, PropertySummary
from mixpanel_fetch.testing.hypotheses import batches


@pytest.fixture
def filled(kit, path):
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "b"), 1: kit.batch("c", value="x")})
    return path


def fold(rows, top):
    """What ``inspect`` must say, counted in Python: per name, present, types, distinct, top."""
    seen = {}
    for properties in rows:
        for name, value in json.loads(properties, object_pairs_hook=Pairs).pairs:
            seen.setdefault(name, []).append(value)
    return {
        name: (
            len(values),
            Counter(kind_of(value) for value in values),
            len({identity(value) for value in values if value is not None}),
            [n for _, n in Counter(map(identity, values)).most_common() if _ != "null"][:top],
        )
        for name, values in seen.items()
    }


class Pairs:
    """An object of JSON, its members in order."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __repr__(self):
        return f"{{{', '.join(f'{name!r}: {identity(value)}' for name, value in self.pairs)}}}"


def identity(value):
    if value is None:
        return "null"
    return f"[{', '.join(map(identity, value))}]" if isinstance(value, list) else repr(value)


def kind_of(value):
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")


def checked(summary, rows, top=5):
    """Assert that a summary says of ``rows`` what the fold says."""
    expected = fold(rows, top)
    assert [one.name for one in summary.properties] == sorted(
        expected, key=lambda name: (-expected[name][0], name)
    )
    for one in summary.properties:
        present, types, distinct, counts = expected[one.name]
        assert (one.present, dict(one.types)) == (present, dict(types))
        assert list(one.types) == [kind for kind in JSON_TYPES if kind in types]
        assert [n for _, n in one.top] == counts
        if one.distinct_is_exact:
            assert one.distinct == distinct
        for value, n in one.top:
            if not value.endswith("…"):
                found = identity(json.loads(value, object_pairs_hook=Pairs))
                assert n == sum(
                    found
                    == identity(dict(json.loads(row, object_pairs_hook=Pairs).pairs)[one.name])
                    for row in rows
                    if one.name in dict(json.loads(row, object_pairs_hook=Pairs).pairs)
                )
    return summary


@pytest.fixture(scope="module")
def memory():
    """What fills the table ``users`` of a database in memory, and returns an engine over it."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE users (distinct_id VARCHAR, properties JSON)")

        def store(batch):
            texts = [text.decode() for text in batch.properties]
            connection.execute("DELETE FROM users")
            connection.execute(
                "INSERT INTO users SELECT unnest($1), unnest($2)", [batch.distinct_ids, texts]
            )
            return DuckDBEngine(connection=connection)

        yield store


def sent(engine):
    return [row for (row,) in engine.query("SELECT CAST(properties AS VARCHAR) FROM users")]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(batch=batches(), top=st.integers(1, 6))
def test_inspect_agrees_with_a_fold_over_the_rows(memory, batch, top):
    engine = memory(batch)
    checked(engine.inspect("users", top=top), sent(engine), top)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(batch=batches(), budget=st.integers(0, 2000))
def test_what_does_not_fit_is_estimated_and_the_rest_agrees(memory, batch, budget):
    engine = memory(batch)
    db = engine._open_to_read()
    with_pairs = inspection.inspect(db, listing.find(db, "users"), 5, 4 * budget)
    db.close()
    checked(with_pairs, sent(engine))


def test_names_that_are_odd_are_told_apart(memory):
    names = ["$name", "a.b", 'say "hi"', "it's", "", " ", "plan", "Plan", "x\0y", "x" * 300, "[0]"]
    engine = memory(
        Batch.from_rows(
            {"distinct_id": str(i), "properties": dict.fromkeys(names[: i + 1], i)}
            for i in range(len(names))
        )
    )
    summary = checked(engine.inspect("users"), sent(engine))
    assert {one.name: one.present for one in summary.properties} == {
        name: len(names) - i for i, name in enumerate(names)
    }


def test_values_are_shown_as_json(memory):
    values = {
        "big": 2**70,
        "nul": "a\0b",
        "nested": {"b": [1, {"c": None}], "a": "ü"},
        "long": "y" * 200,
        "nothing": None,
    }
    engine = memory(Batch.from_rows([{"distinct_id": "1", "properties": values}]))
    found = {one.name: one for one in engine.inspect("users").properties}
    assert {name: [value for value, _ in one.top] for name, one in found.items()} == {
        "big": [str(2**70)],
        "nul": [r'"a\u0000b"'],
        "nested": ['{"b":[1,{"c":null}],"a":"ü"}'],
        "long": ['"' + "y" * 78 + "…"],
        "nothing": [],
    }
    assert found["nothing"] == PropertySummary("nothing", 1, {"null": 1})


def test_the_most_frequent_come_first_and_then_by_text(memory):
    values = ["b", "a", "b", 1, "a", "c", None, None, None]
    engine = memory(
        Batch.from_rows(
            {"distinct_id": str(i), "properties": {"v": value}} for i, value in enumerate(values)
        )
    )
    (one,) = engine.inspect("users", top=3).properties
    assert one.top == (('"a"', 2), ('"b"', 2), ('"c"', 1))
    assert (one.present, one.distinct, one.conflict) == (9, 4, True)
    assert one.types == {"string": 5, "number": 1, "null": 3}


def test_days_are_those_of_utc(kit, path):
    def seen(*words):
        return [None if one is None else datetime.fromisoformat(one) for one in words]

    instants = seen(
        "2026-01-01T23:59:59.999999+00:00",
        "2026-01-02T00:00:00+00:00",
        "2026-01-02T01:00:00+03:00",
        None,
        "0001-01-01T00:00:00+00:00",
    )
    rows = [{"distinct_id": str(i), "last_seen": seen} for i, seen in enumerate(instants)]
    kit.fetch(DuckDBEngine(path), {0: Batch.from_rows(rows)})
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        summary = DuckDBEngine(connection=connection).inspect("users")
    assert summary.days == (
        (date(1, 1, 1), 1),
        (date(2026, 1, 1), 2),
        (date(2026, 1, 2), 1),
    )
    assert (summary.rows, summary.never_seen) == (5, 1)


def test_a_view_and_a_table_of_ones_own_are_inspected(kit, filled):
    kit.make(
        filled,
        "CREATE VIEW few AS FROM users WHERE distinct_id = 'a'",
        "CREATE TABLE texts AS SELECT unnest(['{\"n\": 1}', '[2]', 'no json', NULL]) AS properties,"
        " TIMESTAMPTZ '2026-01-01 23:00:00-05' AS last_seen",
    )
    engine = DuckDBEngine(filled)
    assert engine.inspect("few").rows == 1
    texts = engine.inspect("texts")
    assert (texts.rows, texts.days) == (4, ((date(2026, 1, 2), 4),))
    assert texts.properties == (PropertySummary("n", 1, {"number": 1}, 1, top=(("1", 1),)),)


def test_tables_are_found_by_their_name(kit, filled):
    kit.make(filled, 'CREATE SCHEMA "Sales"', 'CREATE TABLE "Sales"."my ""people" AS FROM users')
    engine = DuckDBEngine(filled)
    for name in ("Users", "main.users", 'sales.my "PEOPLE', 'Sales.my "people'):
        assert engine.inspect(name).rows == 3
    for name, words in (
        ("userz", r"there is no table userz; did you mean users\?"),
        ("nothing", 'there are Sales.my "people, users$'),
        ("mixpanel_fetch.runs", "there is no table mixpanel_fetch.runs"),
        ("a\nb", r"there is no table a\\nb;"),
    ):
        with pytest.raises(TableNotFoundError, match=words):
            engine.inspect(name)


def test_a_table_without_properties_is_refused(kit, filled):
    kit.make(filled, "CREATE TABLE plain AS SELECT 1 AS n")
    with pytest.raises(ConfigError, match="plain has no column properties"):
        DuckDBEngine(filled).inspect("plain")


def test_an_empty_table_has_nothing_in_it(kit, path):
    kit.fetch(DuckDBEngine(path), {0: Batch()})
    summary = DuckDBEngine(path).inspect("users")
    assert (summary.rows, summary.properties, summary.days) == (0, (), ())


def test_many_properties_of_few_rows_each(memory):
    rows = [
        {"distinct_id": str(i), "properties": {f"p{j}": j % 3 for j in range(i % 7, 2000, 7)}}
        for i in range(70)
    ]
    summary = memory(Batch.from_rows(rows)).inspect("users")
    assert len(summary.properties) == 2000
    assert {one.present for one in summary.properties} == {10}


def test_estimates_are_near_and_frequent_values_are_found(memory):
    rows = [
        {
            "distinct_id": str(i),
            "properties": {"id": f"user-{i}", "plan": i % 3, "skew": "most" if i % 2 else i},
        }
        for i in range(5000)
    ]
    engine = memory(Batch.from_rows(rows))
    db = engine._open_to_read()
    summary = inspection.inspect(db, listing.find(db, "users"), 5, 40_000)
    db.close()
    found = {one.name: one for one in summary.properties}
    assert (found["plan"].distinct, found["plan"].distinct_is_exact) == (3, True)
    assert not found["id"].distinct_is_exact
    assert found["id"].distinct == pytest.approx(5000, rel=0.1)
    assert found["skew"].top[0] == ('"most"', 2500)
