from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import StorageError

AWKWARD = [
    '{"big":123456789012345678901234567890,"float":1.10,"zero":-0,"long":0.1234567890123456789}',
    '{"b":1,"a":2,"A":3,"B":{"c":[1,[2,[3,{}]]]}}',
    '{"nul":"a\\u0000b","pair":"\\ud83c\\udf88","escaped":"\\\\ud800","e":1e999}',
    " { } ",
    '{"deep":' + "[" * 500 + "]" * 500 + "}",
    '{"distinct_id":"x","last_seen":"2026","$last_seen":"soon","":0}',
]
INSTANTS = [
    None,
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
    datetime.min.replace(tzinfo=timezone.utc),
    datetime.max.replace(tzinfo=timezone.utc),
    datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
]


def land(kit, engine, *pages):
    try:
        load = engine.begin("users", "create", kit.run_info(total_pages=len(pages)))
        for index, page in enumerate(pages):
            load.write(index, page)
        return load.commit()
    finally:
        engine.close()


def read(connection):
    rows = connection.execute(
        "SELECT distinct_id, properties::VARCHAR, epoch_us(last_seen) FROM users"
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def micros(instant):
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return None if instant is None else (instant - epoch) // timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_awkward_values_keep_their_very_text_in_any_time_zone(kit, zone):
    host = duckdb.connect()
    host.execute(f"SET GLOBAL TimeZone = '{zone}'")
    ids = ["", "nul\0", "ü" * 300, "null", "x" * 20_000, "'; --"]
    instants = [*INSTANTS, None]
    page = Batch(ids, [text.encode() for text in AWKWARD], instants)
    report = land(kit, DuckDBEngine(connection=host), page)
    assert report.repaired_values == 0
    expected = zip(ids, zip(AWKWARD, map(micros, instants), strict=True), strict=True)
    assert read(host) == dict(expected)
    host.close()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries(
    {
        "distinct_id": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        "properties": st.dictionaries(st.text(), JSON, max_size=4),
        "last_seen": st.none() | st.datetimes(timezones=st.just(timezone.utc)),
    }
)


@given(st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=4), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_rows_in_are_rows_out(kit, pages, batch_size):
    batches = [Batch.from_rows(page) for page in pages]
    host = duckdb.connect()
    engine = DuckDBEngine(connection=host)
    run = kit.run_info(total_pages=len(pages), batch_size=batch_size)
    load = engine.begin("users", "create", run)
    # Arrival in reverse: the later page must win all the same.
    for index in reversed(range(len(pages))):
        assert load.write(index, batches[index]) == len(pages[index])
    report = load.commit()
    engine.close()
    wanted = {
        row[0]: (row[1].decode(), micros(row[2]))
        for page in batches
        for row in zip(page.distinct_ids, page.properties, page.last_seen, strict=True)
    }
    assert read(host) == wanted
    assert report.total_rows == len(wanted)
    assert report.duplicate_rows == sum(map(len, pages)) - len(wanted)
    host.close()


def test_lone_surrogates_are_mended_and_counted(kit, path):
    texts = [
        rb'{"a":"\ud800","b":"x\uDfffy\ud83d\ude00\ud83d"}',
        rb'{"\udc00":"\\ud800 \"\ud800"}',
        rb'{"fine":1}',
    ]
    page = Batch(["lone\ud800", "b", "c"], texts, [None] * 3)
    report = land(kit, DuckDBEngine(path), page, kit.batch("d"))
    assert report.repaired_values == 6
    rows = dict(kit.query(path, "SELECT distinct_id, properties::VARCHAR FROM users"))
    assert json.loads(rows["lone\ufffd"]) == {"a": "\ufffd", "b": "x\ufffdy😀\ufffd"}
    assert rows["b"] == r'{"\ufffd":"\\ud800 \"\ufffd"}'
    assert rows["c"] == '{"fine":1}'


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            (["a", "b"], [b"{}", b'{"x":'], [None, None]),
            r"row 1 \(b\): .*are not JSON",
        ),
        ((["a", "b"], [b"", b"{}"], [None, None]), r"row 0 \(a\): its properties are not JSON"),
        ((["a"], [b'{"x":"\xff"}'], [None]), r"row 0 \(a\): .* not JSON in UTF-8"),
        ((["a"], ["{}"], [None]), r"row 0 \(a\): .* not JSON in UTF-8 bytes"),
        ((["a"], [b"{}"], [datetime(2026, 1, 1)]), r"row 0 \(a\): its last_seen is not an aware"),
        ((["a"], [b"{}"], ["2026"]), r"row 0 \(a\): its last_seen is not an aware"),
        ((["a", None], [b"{}", b"{}"], [None, None]), r"row 1 \(None\): its distinct_id"),
    ],
)
def test_a_row_that_no_batch_may_hold_fails_its_page_by_name(kit, path, columns, message):
    engine = DuckDBEngine(path)
    load = engine.begin("users", "create", kit.run_info(total_pages=2))
    with pytest.raises(StorageError, match=f"page 1, {message}"):
        load.write(1, Batch(*columns))
    assert load.landed_pages() == frozenset()
    load.write(1, kit.batch("kept"))
    load.write(0, kit.batch("other"))
    assert load.commit().total_rows == 2
    engine.close()
    assert kit.values(path) == {"kept": "1", "other": "1"}


def test_rows_that_do_not_arrive_are_no_success(kit, path, monkeypatch):
    from mixpanel_fetch.defaults.duckdb_sink import staging

    monkeypatch.setattr(staging, "_INSERT", staging._INSERT + " LIMIT 1")
    engine = DuckDBEngine(path)
    load = engine.begin("users", "create", kit.run_info())
    with pytest.raises(StorageError, match="page 0: 1 of 2 rows arrived"):
        load.write(0, kit.batch("a", "b"))
    load.abort()
    engine.close()
    assert not path.exists()
