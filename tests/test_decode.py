"""From a page's bytes to a Batch, against the standard library's json as the model."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import parse_instant
from mixpanel_fetch.decode import Envelope, decode_document
from mixpanel_fetch.decode import decode_page as opened_page
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.mend import mend

SEEN = datetime(2026, 1, 31, 12, 30, tzinfo=timezone.utc)
unhurried = settings(
    max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

# What could be taken for a row's own $last_seen and is none, and what hides where one stands.
traps = st.sampled_from(
    [
        "$last_seen",
        'x"$last_seen',
        '"$last_seen":"2026-01-31T12:30:00",',
        '{"$last_seen":"2026-01-31T12:30:00"}',
        "2026-01-31T12:30:00",
        "{",
        "}",
        "\\",
    ]
)
texts = st.text() | traps
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
ids = st.text(min_size=1) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
no_ids = st.none() | st.booleans() | st.lists(scalars, max_size=2) | st.just({"id": 1})
seens = st.sampled_from(
    [
        *("2026-01-31T12:30:00", "2026-01-31 12:30:00", "2026-02-31T12:30:00"),
        *("2026-01-31T12:30:00.25+02:00", "infinity", "", 5, None, ["x"]),
    ]
)
properties = st.builds(
    lambda before, seen, after: before | seen | after,
    st.dictionaries(texts, json_values, max_size=3),
    st.just({}) | st.fixed_dictionaries({"$last_seen": seens}),
    st.dictionaries(texts, json_values, max_size=2),
)
good_rows = st.fixed_dictionaries(
    {"$distinct_id": ids},
    optional={"$properties": st.none() | properties, "extra": json_values},
)
bad_rows = (
    scalars
    | st.lists(scalars, max_size=2)
    | st.fixed_dictionaries({}, optional={"$properties": properties})
    | st.fixed_dictionaries({"$distinct_id": no_ids, "$properties": properties})
    | st.fixed_dictionaries(
        {"$distinct_id": ids, "$properties": st.sampled_from([1, "x", [], [{}], True])}
    )
)
layouts = st.sampled_from(
    [{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}, {"sort_keys": True}]
)


def decode_page(body, index):
    """A page decoded and read."""
    page = opened_page(body, index)
    batch, rejected = page.read()
    figures = ("envelope", "rows_received", "repaired_values")
    return SimpleNamespace(batch=batch, rejected=rejected, **{f: getattr(page, f) for f in figures})


def body_of(results, layout=None, **envelope):
    document = {"page": 0, "page_size": 1000, "session_id": "s", "total": 9, **envelope}
    return json.dumps({**document, "status": "ok", "results": results}, **(layout or {})).encode()


def raw_body(results):
    return b'{"page": 0, "page_size": 1000, "total": 9, "results": [%b]}' % results.encode()


def model(row):
    """What json.loads alone would make of a good row."""
    distinct_id, values = row["$distinct_id"], dict(row.get("$properties") or {})
    seen = values.get("$last_seen")
    instant = parse_instant(seen) if isinstance(seen, str) else None
    if instant is not None:
        del values["$last_seen"]
    return {
        "distinct_id": distinct_id if isinstance(distinct_id, str) else json.dumps(distinct_id),
        "properties": values,
        "last_seen": instant,
    }


def in_order(rows):
    return [list(row["properties"].items()) for row in rows]


# Rows


@unhurried
@given(st.lists(good_rows, max_size=5), layouts)
def test_every_value_is_what_json_reads(results, layout):
    body = body_of(results, layout)
    expected = [model(row) for row in json.loads(body)["results"]]
    page = decode_page(body, 0)
    rows = list(page.batch.rows())
    assert rows == expected
    assert in_order(rows) == in_order(expected)
    assert page.rows_received == len(results)
    assert (page.rejected, page.repaired_values) == ((), 0)


SECOND = '"2026-01-31T12:30:00"'


@pytest.mark.parametrize(
    ("sent", "kept", "seen"),
    [
        ('{"$last_seen":%s}', "{}", True),
        ('{ "$last_seen" : %s }', "{}", True),
        ('{"a":1.10,"$last_seen":%s}', '{"a":1.10}', True),
        ('{"$last_seen":%s,"a":1.10}', '{"a":1.10}', True),
        ('{"a": 1.10, "$last_seen": %s, "b": -0}', '{"a": 1.10, "b": -0}', True),
        ('{"o": {"x": 1}, "$last_seen": %s}', '{"o": {"x": 1}}', True),
        ('{"$last_seen": %s, "o": {"x": 1}}', '{"o": {"x": 1}}', True),
        ('{"o": {}, "$last_seen": %s, "p": {}}', '{"o": {}, "p": {}}', True),
        ('{"o": {"$last_seen": %s}}', '{"o": {"$last_seen": %s}}', False),
        ('{"o": {"$last_seen": %s, "x": {}}, "p": 1}', "as it is", False),
        ('{"o": [{"$last_seen": %s}, {}], "p": {}}', "as it is", False),
        ('{"x\\"$last_seen":%s,"a":1}', "as it is", False),
        ('{"a":"x,\\"$last_seen\\":1","$last_seen":%s}', '{"a":"x,\\"$last_seen\\":1"}', True),
        # In disguise, and twice: the later one counts, as in every reader.
        ('{"\\u0024last_seen": %s, "a": 1}', '{"a":1}', True),
        ('{"o": {"$last_seen": %s}, "$l\\u0061st_seen": null}', "as it is", False),
        ('{"$last_seen": %s, "$l\\u0061st_see\\u006E": 5}', '{"$last_seen":5}', False),
        ('{"$last_seen": 5, "a": 1, "$last_seen": %s}', '{"a":1}', True),
    ],
)
@pytest.mark.parametrize("other", ["{}", '{"city":"K\\u00f6ln"}'])
def test_the_last_seen_of_the_row_itself_is_cut_out_and_no_other(sent, kept, seen, other):
    sent = sent % SECOND if "%s" in sent else sent
    kept = sent if kept == "as it is" else kept.replace("%s", SECOND)
    rows = f'{{"$distinct_id": "a", "$properties": {sent}}}, {{"$distinct_id": "b",' + (
        f'"$properties": {other}}}'
    )
    batch = decode_page(raw_body(rows), 0).batch
    if "$last_seen" in json.loads(kept) and kept != sent:
        # Two of a name: what is read is the same, whichever way they were told apart.
        assert json.loads(batch.properties[0]) == json.loads(kept)
    else:
        assert batch.properties == [kept.encode(), other.encode()]
    assert batch.last_seen == [SEEN if seen else None, None]


@unhurried
@given(st.lists(st.tuples(st.booleans(), good_rows, bad_rows), max_size=6), layouts)
def test_a_row_that_cannot_be_used_is_rejected_alone_and_where_it_stood(choices, layout):
    results = [good if take else bad for take, good, bad in choices]
    body = body_of(results, layout)
    read = json.loads(body)["results"]
    page = decode_page(body, 7)
    kept = [row for (take, _, _), row in zip(choices, read, strict=True) if take]
    assert list(page.batch.rows()) == [model(row) for row in kept]
    assert page.rows_received == len(page.batch) + len(page.rejected) == len(results)
    assert {one.position for one in page.rejected} == {
        position for position, (take, _, _) in enumerate(choices) if not take
    }
    assert {one.page for one in page.rejected} <= {7}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("null", "the row is not an object"),
        ("[]", "the row is not an object"),
        ('"a"', "the row is not an object"),
        ("{}", "no usable $distinct_id"),
        ('{"$properties": {}}', "no usable $distinct_id"),
        ('{"$distinct_id": null}', "no usable $distinct_id"),
        ('{"$distinct_id": true}', "no usable $distinct_id"),
        ('{"$distinct_id": {"a": 1}}', "no usable $distinct_id"),
        ('{"$distinct_id": ["a"]}', "no usable $distinct_id"),
        ('{"$distinct_id": NaN}', "no usable $distinct_id"),
        ('{"$distinct_id": "a", "$properties": []}', "$properties is not an object"),
        ('{"$distinct_id": "a", "$properties": "x"}', "$properties is not an object"),
    ],
)
def test_a_rejection_says_why(row, reason):
    page = decode_page(raw_body(row), 3)
    assert [(one.page, one.position, one.reason) for one in page.rejected] == [(3, 0, reason)]
    assert page.rows_received == 1


def test_rejections_come_in_the_order_of_the_rows():
    rejected = decode_page(raw_body('{"$distinct_id": null}, 5, {"$distinct_id": []}'), 0).rejected
    assert [one.position for one in rejected] == [0, 1, 2]


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        ('"$device:x"', "$device:x"),
        ('"\\ud83d\\ude00\\u0000"', "😀\0"),
        ("4", "4"),
        ("-0", "-0"),
        ("1.10e5", "1.10e5"),
        ("12345678901234567890123", "12345678901234567890123"),
    ],
)
def test_an_id_that_is_a_number_keeps_its_digits(given_id, kept):
    page = decode_page(raw_body(f'{{"$distinct_id": {given_id}}}'), 0)
    assert page.batch.distinct_ids == [kept]


def test_values_keep_the_very_bytes_that_came():
    values = (
        rb'{"f":1.10,"z":-0,"big":123456789012345678901234567890,"s":"\u00e9\/","o":{"x": [ ]}}'
    )
    body = raw_body('{"$distinct_id": "a", "$properties": ' + values.decode() + "}")
    assert decode_page(body, 0).batch.properties == [values]


def test_the_last_of_two_equal_keys_wins():
    row = '{"$distinct_id": "a", "$distinct_id": "b", "$properties": {"x": 1, "y": 2, "x": 3}}'
    page = decode_page(raw_body(row), 0)
    assert list(page.batch.rows()) == [
        {"distinct_id": "b", "properties": {"x": 3, "y": 2}, "last_seen": None}
    ]


def test_keys_that_differ_in_case_are_two_keys():
    row = '{"$distinct_id": "a", "$properties": {"Name": 1, "name": 2, "$distinct_id": 3}}'
    (kept,) = decode_page(raw_body(row), 0).batch.rows()
    assert kept["properties"] == {"Name": 1, "name": 2, "$distinct_id": 3}


@pytest.mark.parametrize(
    ("seen", "instant", "left"),
    [
        ('"2026-01-31T12:30:00"', SEEN, {"p": 1}),
        ('"2026\\u002d01-31T12:30:00"', SEEN, {"p": 1}),
        ('"infinity"', None, {"p": 1, "$last_seen": "infinity"}),
        ("1769862600", None, {"p": 1, "$last_seen": 1769862600}),
        ("null", None, {"p": 1, "$last_seen": None}),
        ('{"a": 1}', None, {"p": 1, "$last_seen": {"a": 1}}),
    ],
)
def test_last_seen_leaves_the_properties_only_where_the_column_holds_it(seen, instant, left):
    row = f'{{"$distinct_id": "a", "$properties": {{"p": 1, "$last_seen": {seen}}}}}'
    (kept,) = decode_page(raw_body(row), 0).batch.rows()
    assert kept == {"distinct_id": "a", "properties": left, "last_seen": instant}


def test_sixty_levels_of_nesting_are_kept():
    deep = "[" * 60 + "]" * 60
    page = decode_page(raw_body(f'{{"$distinct_id": "a", "$properties": {{"x": {deep}}}}}'), 0)
    assert page.batch.properties == [f'{{"x": {deep}}}'.encode()]


# The envelope


@pytest.mark.parametrize("rows", ["", "5"])  # the usual shape, and the one with odd rows
def test_the_envelope_is_read_around_the_rows(rows):
    body = b'{"later": {"x": 1}, "page": 3, "page_size": 9, "session_id": "s", "results": [%b]}'
    envelope = decode_page(body % rows.encode(), 3).envelope
    assert envelope == Envelope(page=3, page_size=9, session_id="s", total=None)


def test_what_the_envelope_does_not_say_is_none():
    assert decode_page(b'{"results": []}', 0).envelope == Envelope(None, None, None, None)
    assert decode_page(b'{"results": [], "total": null}', 0).envelope.total is None


BROKEN = [
    (b"", "not JSON"),
    (b"<html>", "not JSON"),
    (b'{"results": [', "not JSON"),
    (b'{"results": []} {}', "not JSON"),
    (b'{"results": [{"$distinct_id": "a", "$properties": {"x": 01}}]}', "not JSON"),
    (b"[]", "not a JSON object"),
    (b"null", "not a JSON object"),
    (b'"text"', "not a JSON object"),
    (b"{}", "results: missing"),
    (b'{"results": {}}', "results: not an array"),
    (b'{"results": 5}', "results: not an array"),
    (b'{"results": [], "page": -1}', "page: "),
    (b'{"results": [], "page": true}', "page: "),
    (b'{"results": [], "page": "0"}', "page: "),
    (b'{"results": [], "page_size": 0}', "page_size: "),
    (b'{"results": [], "total": -1}', "total: "),
    (b'{"results": [], "total": 1.5}', "total: "),
    (b'{"results": [], "session_id": ""}', "session_id: "),
    (b'{"results": [], "session_id": 5}', "session_id: "),
    (b'{"results": [], "status": "error"}', "status: "),
]


@pytest.mark.parametrize("decode", [lambda body: decode_page(body, 0), decode_document])
@pytest.mark.parametrize(("body", "words"), BROKEN)
def test_an_answer_that_breaks_the_promise_is_a_transient_server_error(decode, body, words):
    with pytest.raises(ServerError) as caught:
        decode(body)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.transient


@unhurried
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@example(b'{"results": [{"$distinct_id": "\xff"}]}')
@example(b'{"results": [NaN]}')
def test_no_body_raises_anything_but_a_server_error(body):
    for decode in (lambda: decode_page(body, 0), lambda: decode_document(body)):
        try:
            decode()
        except ServerError as error:
            assert "\n" not in str(error)  # noqa: PT017


@unhurried
@given(st.data())
def test_a_page_cut_short_is_a_server_error(data):
    body = body_of([{"$distinct_id": "a", "$properties": {"x": [1, "y"]}}])
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ServerError):
        decode_page(body[:cut], 0)


def test_a_document_nested_without_end_is_a_server_error():
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(ServerError) as caught:
        decode_document(raw_body(f'{{"$distinct_id": "a", "$properties": {{"x": {deep}}}}}'))
    assert not caught.value.transient  # it would come again


# The contract's dict


def test_a_document_has_the_fields_of_the_contract_and_no_other():
    results = [{"$distinct_id": "a", "$properties": {"$last_seen": "2026-01-31T12:30:00"}}]
    assert decode_document(body_of(results, page=2, total=None)) == {
        "results": results,
        "total": None,
        "page_size": 1000,
        "page": 2,
        "session_id": "s",
    }


# Mending


def pieces():
    """JSON texts with what no JSON reader takes in them, and how many values were injected."""
    good = st.sampled_from(
        ['"a"', '"\\\\ud800"', '"\\ud83d\\ude00"', '"\\"NaN"', '"Infinity"', "1", "null", '"é\\n"']
    )
    bad = st.sampled_from(
        [
            '"\\ud800"',
            '"\\uDFFF\\uD800x"',
            '"a\\ud800\\ud83d\\ude00"',
            '"\\\\\\udc00"',
            "NaN",
            "Infinity",
            "-Infinity",
        ]
    )
    return st.lists(good.map(lambda one: (one, 0)) | bad.map(lambda one: (one, 1)), max_size=8)


@unhurried
@given(pieces(), st.sampled_from([", ", ",", ",\n"]))
def test_mended_text_is_strict_json_and_the_count_is_right(parts, comma):
    body = f"[{comma.join(text for text, _ in parts)}]".encode()
    mended, count = mend(body)
    values = json.loads(mended, parse_constant=pytest.fail)
    assert json.dumps(values, ensure_ascii=False).encode()  # no lone surrogate is left
    assert count == sum(injected for _, injected in parts)
    for value, (text, injected) in zip(values, parts, strict=True):
        if injected:
            assert value is None or "\ufffd" in value
        else:
            assert value == json.loads(text)


@unhurried
@given(json_values, layouts)
def test_text_without_anything_to_mend_is_untouched(value, layout):
    body = json.dumps(value, **layout).encode()
    assert mend(body) == (body, 0)


@unhurried
@given(st.binary(max_size=80))
def test_mending_never_raises_and_needs_no_second_time(body):
    once, _ = mend(body)
    assert mend(once) == (once, 0)
    once.decode()


@pytest.mark.parametrize(
    ("value", "mended"),
    [
        (rb'"\ud800"', "\ufffd"),
        (rb'"x\udc00y"', "x\ufffdy"),
        (rb'"\ud800\ud83d\ude00"', "\ufffd😀"),
        (rb'"\\ud800"', "\\ud800"),
        (b'"a\xffb"', "a\ufffdb"),
        (b"NaN", None),
        (b"-Infinity", None),
        (rb'["NaN", {"\udfff": Infinity}]', ["NaN", {"\ufffd": None}]),
    ],
)
def test_one_bad_value_costs_neither_its_page_nor_its_neighbours(value, mended):
    row = b'{"$distinct_id": "a", "$properties": {"bad": %b, "n": 1.10}}, {"$distinct_id": "b"}'
    page = decode_page(b'{"results": [%b]}' % (row % value), 0)
    first, second = page.batch.rows()
    assert first["properties"] == {"bad": mended, "n": 1.1}
    assert second["distinct_id"] == "b"
    assert page.batch.properties[0].endswith(b'"n": 1.10}')


def test_a_lone_surrogate_costs_no_page_wherever_it_stands():
    row = rb'{"$distinct_id": "\ud800", "$properties": {"\udc00": 1, "$last_seen": "\ud800"}}'
    page = decode_page(rb'{"results": [%b], "later": "\ud800"}' % row, 0)
    assert list(page.batch.rows()) == [
        {
            "distinct_id": "\ufffd",
            "properties": {"\ufffd": 1, "$last_seen": "\ufffd"},
            "last_seen": None,
        }
    ]


def test_repaired_values_are_counted_on_the_page():
    row = rb'{"$distinct_id": "a", "$properties": {"x": "\ud800", "y": [NaN, "\udc00\udc00"]}}'
    assert decode_page(b'{"results": [%b]}' % row, 0).repaired_values == 3


@pytest.mark.parametrize("depth", [500, 501, 600])
def test_what_is_nested_below_five_hundred_others_becomes_null(depth):
    body = b"[" * depth + b'"]"' + b"]" * depth
    mended, count = mend(body)
    if depth == 500:
        assert (mended, count) == (body, 0)
    else:
        assert (mended, count) == (b"[" * 500 + b"null" + b"]" * 500, 1)


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 50_000, b'"' + b"\\" * 99_999, b"[" * 99_999])
def test_what_has_no_end_is_left_as_it_is(text):
    assert mend(text) == (text, 0)


def test_bare_control_characters_are_spelled():
    assert mend(b'["a\x00\n", "\\n\xc3\xa9"]\n') == (b'["a\\u0000\\u000a", "\\n\xc3\xa9"]\n', 1)


def test_a_value_with_two_bad_bytes_is_one_repaired_value():
    assert mend(b'["\xff\xfe"]')[1] == 1
