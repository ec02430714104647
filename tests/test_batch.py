"""Batch: a page's rows in columns, and back."""

from __future__ import annotations

import json
import math
import string
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from arro3.core import DataType, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch, encode_properties, parse_instant

SEEN = datetime(2026, 1, 31, 12, 30, tzinfo=timezone.utc)
unhurried = settings(
    max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

text = st.text()
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
aware = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 29),
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-7, minutes=-30))]),
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "distinct_id": text,
            "properties": st.dictionaries(text, json_values, max_size=5),
            "last_seen": st.none() | aware,
        }
    ),
    max_size=6,
)


# Instants


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T12:30:00", SEEN),
        ("2026-01-31 12:30:00", SEEN),
        ("2026-01-31T12:30:00Z", SEEN),
        ("2026-01-31T12:30:00-00:00", SEEN),
        ("2026-01-31T14:30:00+02:00", SEEN),
        ("2026-01-31T14:30:00+0200", SEEN),
        ("2026-01-31T07:00:00-0530", SEEN),
        ("2026-01-31T12:30:00.5", SEEN.replace(microsecond=500_000)),
        ("2026-01-31T12:30:00.000001Z", SEEN.replace(microsecond=1)),
        ("2026-01-31T12:30:00.25000000000Z", SEEN.replace(microsecond=250_000)),
    ],
)
def test_an_instant_is_read_as_utc(text, instant):
    read = parse_instant(text)
    assert read == instant
    assert read.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "infinity",
        "epoch",
        "2026-01-31",
        "1769862600",
        "2026-01-31T12:30",
        "2026-01-31T12:30:00 UTC",
        "2026-01-31T12:30:00+02",
        "2026-01-31T12:30:00.",
        "2026-01-31T12:30:00.1234567",  # finer than a datetime
        " 2026-01-31T12:30:00",
        "2026-01-31T12:30:00\n",
        "2026-13-01T00:00:00",
        "2026-02-30T00:00:00",
        "2026-01-31T24:00:01",
        "2026-01-31T12:30:60",
        "2026-01-31T12:30:00+24:00",
        "0000-01-01T00:00:00",
        "0001-01-01T00:00:00+01:00",  # before the first year there is
        "9999-12-31T23:59:59-01:00",
        "２０２６-01-31T12:30:00",  # noqa: RUF001  (digits, but not those of an instant)
        "20260131T123000",
        "2026-W05-6T12:30:00",
    ],
)
def test_what_is_no_instant_is_none(text):
    assert parse_instant(text) is None


@pytest.mark.parametrize("offset", ["+02:60", "-00:99"])
def test_an_offset_has_no_sixtieth_minute(offset):
    assert parse_instant(f"2026-01-31T12:30:00{offset}") is None


@unhurried
@given(aware)
def test_every_datetime_is_read_from_its_own_iso_text(moment):
    assert parse_instant(moment.isoformat()) == moment


@unhurried
@given(st.text(string.digits + "-:.+TZ ", max_size=40))
def test_no_text_makes_the_reader_raise(text):
    assert parse_instant(text) is None or isinstance(parse_instant(text), datetime)


# Properties


@unhurried
@given(st.dictionaries(text, json_values))
def test_properties_are_encoded_value_for_value(properties):
    encoded = encode_properties(properties)
    assert json.loads(encoded) == properties
    assert list(json.loads(encoded)) == list(properties)


def test_integers_of_any_size_keep_their_digits():
    assert encode_properties({"n": 2**63, "m": -(10**40)}) == (
        b'{"n":9223372036854775808,"m":-10000000000000000000000000000000000000000}'
    )


def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_its_character():
    encoded = encode_properties({"lone": "a\ud800b", "low\udc00": 1, "pair": "\ud83d\ude00"})
    assert json.loads(encoded) == {"lone": "a\ufffdb", "low\ufffd": 1, "pair": "😀"}


@pytest.mark.parametrize("value", [object(), {"inner": print}, {(1, 2): 3}])
def test_what_json_cannot_hold_raises(value):
    with pytest.raises((TypeError, ValueError)):
        encode_properties({"x": value})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("neighbour", ["plain", "lone \ud800"])
def test_a_number_that_json_cannot_hold_becomes_null(number, neighbour):
    encoded = encode_properties({"n": [number, 1.5], "text": neighbour})
    assert json.loads(encoded)["n"] == [None, 1.5]


# Rows


@unhurried
@given(rows)
def test_rows_come_back_as_they_went_in(given_rows):
    batch = Batch.from_rows(given_rows)
    assert list(batch.rows()) == given_rows
    assert Batch.from_rows(batch.rows()) == batch
    assert len(batch) == len(given_rows)
    assert {seen.tzinfo for seen in batch.last_seen if seen} <= {timezone.utc}


def test_only_the_id_is_needed():
    assert Batch.from_rows([{"distinct_id": "a"}, {"distinct_id": "b", "properties": None}]) == (
        Batch(["a", "b"], [b"{}", b"{}"], [None, None])
    )


@pytest.mark.parametrize(
    "last_seen",
    [
        "2026-01-31T12:30:00",
        datetime(2026, 1, 31, 12, 30),
        datetime(2026, 1, 31, 14, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_last_seen_may_be_text_naive_or_of_another_zone(last_seen):
    batch = Batch.from_rows([{"distinct_id": "a", "last_seen": last_seen}])
    assert batch.last_seen == [SEEN]
    assert batch.last_seen[0].tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"properties": {}}, KeyError),
        ({"distinct_id": None}, TypeError),
        ({"distinct_id": 5}, TypeError),
        ({"distinct_id": "a", "properties": "x"}, TypeError),
        ({"distinct_id": "a", "properties": [1]}, TypeError),
        ({"distinct_id": "a", "last_seen": "yesterday"}, ValueError),
    ],
)
def test_a_row_of_other_types_is_refused(row, error):
    with pytest.raises(error):
        Batch.from_rows([row])


@pytest.mark.parametrize(
    "row",
    [
        {"distinct_id": "a", "last_seen": 1769862600},
        {"distinct_id": "a", "last_seen": date(2026, 1, 31)},
        {"distinct_id": "a", "properties": []},
        {"distinct_id": "a", "properties": 0},
    ],
)
def test_a_row_of_other_types_is_refused_as_documented(row):
    with pytest.raises((TypeError, ValueError)):
        Batch.from_rows([row])


def test_an_id_that_utf8_cannot_hold_is_mended_or_refused():
    try:
        batch = Batch.from_rows([{"distinct_id": "a\ud800"}])
    except ValueError:
        return
    batch.distinct_ids[0].encode()


@unhurried
@given(st.lists(st.sampled_from(["a", "b", "A", "\0", ""])))
def test_of_rows_with_one_id_the_last_stays_where_it_was(ids):
    every = [{"distinct_id": one, "properties": {"n": n}} for n, one in enumerate(ids)]
    batch = replace(Batch.from_rows(every), note="a remark")
    last = {row["distinct_id"]: row["properties"]["n"] for row in every}
    kept = batch.last_of_each_id()
    assert [row["properties"]["n"] for row in kept.rows()] == sorted(last.values())
    assert {row["distinct_id"]: row["properties"]["n"] for row in kept.rows()} == last
    assert kept.note == "a remark"
    assert (kept is batch) == (len(last) == len(ids))
    assert batch.distinct_ids == ids


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Batch(["a"], [], [None])


def test_an_empty_batch_has_no_rows():
    assert len(Batch()) == 0
    assert list(Batch().rows()) == []
    assert Batch().distinct_ids is not Batch().distinct_ids


def test_a_batch_cannot_be_given_other_columns():
    with pytest.raises(AttributeError):
        Batch().distinct_ids = ["a"]


# Arrow

ARROW = Batch(
    ["a", "é\0🙂"],
    [b'{"n":12345678901234567890}', b"{}"],
    [datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=timezone.utc), None],
)


def test_arrow_without_a_library_is_an_import_error(monkeypatch):
    for name in ("pyarrow", "arro3.core"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError):
        ARROW.__arrow_c_stream__()


def test_the_arrow_stream_has_every_value():
    table = Table.from_arrow(ARROW)
    assert table.schema.field("last_seen").type == DataType.timestamp("us", tz="UTC")
    assert {name: table.column(name).to_pylist() for name in table.column_names} == {
        "distinct_id": ARROW.distinct_ids,
        "properties": [one.decode() for one in ARROW.properties],
        "last_seen": ARROW.last_seen,
    }


def test_an_empty_batch_streams_its_columns():
    table = Table.from_arrow(Batch())
    assert table.num_rows == 0
    assert table.column_names == ["distinct_id", "properties", "last_seen"]
