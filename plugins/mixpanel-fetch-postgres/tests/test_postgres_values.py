from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from mixpanel_fetch_postgres.engine import PostgresEngine
from mixpanel_fetch_postgres.mending import mended_json

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import StorageError

AWKWARD = [
    '{"big":123456789012345678901234567890,"float":1.10,"long":0.1234567890123456789}',
    '{"b":1,"a":2,"A":3,"B":{"c":[1,[2,[3,{}]]]},"":0}',
    '{"pair":"\\ud83c\\udf88","escaped":"\\\\ud800 \\\\u0000","tab":"\\t"}',
    " { } ",
    '{"deep":' + "[" * 500 + "]" * 500 + "}",
    '{"distinct_id":"x","last_seen":"2026","$last_seen":"soon","e":1e999,"small":1e-16383}',
]
INSTANTS = [
    None,
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
    datetime.min.replace(tzinfo=timezone.utc),
    datetime.max.replace(tzinfo=timezone.utc),
    datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2000, 1, 1, tzinfo=timezone.utc),
]


def land(kit, engine, *pages):
    try:
        load = engine.begin("users", "create", kit.run_info(total_pages=len(pages)))
        for index, page in enumerate(pages):
            assert load.write(index, page) == len(page)
        return load.commit()
    finally:
        engine.close()


def texts(place):
    return dict(place.query("SELECT distinct_id, properties::text FROM users"))


def exact(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_awkward_values_come_back_as_they_were(kit, place, zone):
    ids = ["", "null", "ü" * 300, "\\N\t\n", "x" * 2000, "'; --"]
    page = Batch(ids, [text.encode() for text in AWKWARD], INSTANTS)
    engine = PostgresEngine(place.location, options=f"-c timezone={zone} -c datestyle=German")
    report = land(kit, engine, page)
    assert report.repaired_values == 0
    found = texts(place)
    assert {key: exact(text) for key, text in found.items()} == dict(
        zip(ids, map(exact, AWKWARD), strict=True)
    )
    seconds = dict(place.query("SELECT distinct_id, extract(epoch FROM last_seen) FROM users"))
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    for key, instant in zip(ids, INSTANTS, strict=True):
        micros = None if instant is None else (instant - epoch) // timedelta(microseconds=1)
        assert (None if seconds[key] is None else int(seconds[key] * 10**6)) == micros


def test_what_jsonb_refuses_is_replaced_and_counted(kit, place, engine):
    page = Batch(
        ["nul\0id", "lone\ud800", "b", "c", "d"],
        [
            rb'{"a":"x\u0000y","pair":"\ud83d\ude00"}',
            rb'{"a":"\ud800","b":"x\uDfffy\ud83d\ude00\ud83d"}',
            rb'{"\udc00":"\\ud800 \\u0000 \"\ud800","k\u0000":1}',
            b'{"huge":1e400000,"tiny":-1.5e-20000,"0":0e99999999999,"fine":1e300}',
            b'{"fine":1}',
        ],
        [None] * 5,
    )
    report = land(kit, engine, kit.batch("before"), page, kit.batch("after"))
    assert report.repaired_values == 2 + 1 + 2 + 3 + 3
    rows = {key: json.loads(text) for key, text in texts(place).items()}
    assert rows["nul\ufffdid"] == {"a": "x\ufffdy", "pair": "😀"}
    assert rows["lone\ufffd"] == {"a": "\ufffd", "b": "x\ufffdy😀\ufffd"}
    assert rows["b"] == {"\ufffd": '\\ud800 \\u0000 "\ufffd', "k\ufffd": 1}
    assert rows["c"] == {
        "huge": "1e400000", "tiny": "-1.5e-20000", "0": "0e99999999999", "fine": 10**300
    }  # fmt: skip
    assert rows["d"] == {"fine": 1}
    assert {"before", "after"} <= rows.keys()


def test_pages_that_land_together_are_mended_each_alone(kit, place, engine):
    load = engine.begin("users", "create", kit.run_info(total_pages=3))
    pages = [
        (0, kit.batch("a")),
        (1, Batch(["b"], [rb'{"v":"\ud800"}'], [None])),
        (2, Batch(["c"], [rb'{"v":"\u0000"}'], [None])),
    ]
    assert load.write_pages(pages) == [1, 1, 1]
    assert load.commit().repaired_values == 2
    assert place.values() == {"a": "1", "b": "\ufffd", "c": "\ufffd"}


@pytest.mark.parametrize("depth", [600, 100_000])
def test_deep_nesting_lands_or_is_cut_where_the_server_gives_up(kit, place, engine, depth):
    text = b'{"v":1,"deep":' + b"[" * depth + b"]" * depth + b"}"
    report = land(kit, engine, Batch(["a"], [text], [None]), kit.batch("b"))
    assert report.repaired_values == (depth > 600)
    assert place.values() == {"a": "1", "b": "1"}


def test_ids_that_become_one_by_mending_are_one(kit, place, engine):
    report = land(kit, engine, kit.Batch(["a\0", "a\ufffd"], [b'{"v":1}', b'{"v":2}'], [None] * 2))
    assert (report.total_rows, report.duplicate_rows, report.repaired_values) == (1, 1, 1)
    assert place.values() == {"a\ufffd": "2"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["a", "b"], [b"{}", b'{"x":'], [None, None]), r"row 1 \(b\): .*are not JSON$"),
        ((["a", "b"], [b"", b"{}"], [None, None]), r"row 0 \(a\): its properties are not JSON$"),
        ((["a", "b"], [b"{}", b'{"x":NaN}'], [None, None]), r"row 1 \(b\): .*are not JSON$"),
        ((["a"], [b'{"x":"\xff"}'], [None]), r"row 0 \(a\): .* not JSON in UTF-8"),
        ((["a"], [b'{"x":"\0"}'], [None]), r"row 0 \(a\): .* not JSON in UTF-8"),
        ((["a"], ["{}"], [None]), r"row 0 \(a\): .* not JSON in UTF-8 bytes"),
        ((["a"], [b"{}"], [datetime(2026, 1, 1)]), r"row 0 \(a\): its last_seen is not an aware"),
        ((["a"], [b"{}"], ["2026"]), r"row 0 \(a\): its last_seen is not an aware"),
        ((["a", None], [b"{}", b"{}"], [None, None]), r"row 1 \(None\): its distinct_id"),
    ],
)
def test_a_row_that_no_batch_may_hold_fails_its_page_by_name(kit, place, engine, columns, message):
    load = engine.begin("users", "create", kit.run_info(total_pages=2))
    with pytest.raises(StorageError, match=f"page 1, {message}"):
        load.write(1, Batch(*columns))
    assert load.landed_pages() == frozenset()
    load.write(1, kit.batch("kept"))
    load.write(0, kit.batch("other"))
    assert load.commit().total_rows == 2
    assert place.values() == {"kept": "1", "other": "1"}


def test_mending_leaves_alone_what_needs_none():
    for text in AWKWARD:
        assert mended_json(text.encode()) == (text.encode(), 0)
    text = b'{"a":"]]]","b":[[1]],"c":"' + rb"\\u0000\"" + b'"}'
    assert mended_json(text, flat=True) == (text, 0)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "number",
    ["1e131071", "1e131072", "9.9e131071", "0.001e131074", "0.001e131075", "1e-16383",
     "1e-16384", "1.5e-16382", "1.5e-16383", "0e-16384", "0e131080", "9" * 131072,
     "9" * 131073, "0." + "1" * 16383, "0." + "1" * 16384, "1e99999999999999999999"],
)  # fmt: skip
def test_numbers_are_mended_exactly_where_the_server_refuses_them(place, sign, number):
    text = sign + number
    try:
        place.query("SELECT length(%s::jsonb::text)", text)
        refused = False
    except Exception:  # noqa: BLE001
        refused = True
    mended, count = mended_json(text.encode())
    assert (count, mended) == ((1, f'"{text}"'.encode()) if refused else (0, text.encode()))
