from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.simulator import where

NOW = 1_700_000_000
PROPERTIES = {
    "plan": "pro",
    "seats": 12,
    "ratio": 0.5,
    "huge": 10**400,
    "admin": True,
    "nothing": None,
    "tags": ["beta", "power-user", 3],
    "company": {"name": "Fjord"},
    "$last_seen": "2026-01-31T12:00:00",
    "signup": "2026-01-31",
    "zoned": "2026-01-31T14:00:00.5+02:00",
    "zulu": "2026-01-31T12:00:00Z",
    "west": "2026-01-31 07:00-0500",
    "bad_date": "2026-02-30T00:00:00",
    "unix": 1_769_860_800,
    "milliseconds": 1_769_860_800_000,
    "float_time": 1_769_860_800.9,
    "number_text": "12",
    "infinity": float("inf"),
}


def evaluate(source, utc_offset=0.0, **properties):
    scope = where.Scope({**PROPERTIES, **properties}, len, NOW, utc_offset)
    return where.parse(source).evaluate(scope)


def holds(source, **properties):
    return where.truth(evaluate(source, **properties))


@pytest.mark.parametrize(
    "source",
    [
        'properties["plan"] == "pro"',
        'user["plan"] == "pro"',
        'properties["plan"] != "free"',
        'properties["missing"] != "free"',
        'properties["seats"] > 11 and properties["seats"] >= 12',
        'properties["seats"] < 13 and properties["seats"] <= 12.0',
        'properties["seats"] == 12.0',
        'properties["ratio"] > -1e-3',
        'properties["plan"] >= "a"',
        'properties["admin"] == true',
        'properties["admin"]',
        'not properties["missing"]',
        'not not properties["admin"]',
        'properties["plan"] == "free" or properties["admin"] == true',
        '"ro" in properties["plan"]',
        '"beta" in properties["tags"]',
        '3 in properties["tags"]',
        'properties["plan"] in ["free", "pro"]',
        'not "x" in properties["plan"]',
        'defined(properties["plan"])',
        'not defined(properties["missing"])',
        'not defined(properties["nothing"])',
        'number(properties["number_text"]) == 12',
        'number(properties["admin"]) == 1',
        'number(datetime(properties["unix"])) == properties["unix"]',
        'string(properties["seats"]) == "12"',
        'string(properties["plan"]) == "pro"',
        'string(datetime(5)) == "5"',
        '"pro" in list(properties["plan"])',
        '"beta" in list(properties["tags"])',
        'properties["seats"] + 1 - 3 == 10',
        'properties["plan"] + "!" == "pro!"',
        'datetime(properties["$last_seen"]) == datetime("2026-01-31T12:00:00")',
        'datetime(properties["$last_seen"]) == datetime(properties["zoned"])',
        'datetime(properties["$last_seen"]) == datetime(properties["zulu"])',
        'datetime(properties["$last_seen"]) == datetime(properties["west"])',
        'datetime(properties["signup"]) < datetime(properties["$last_seen"])',
        'datetime(properties["unix"]) == datetime(properties["milliseconds"])',
        'datetime(properties["float_time"]) == datetime(properties["unix"])',
        "datetime(datetime(5)) == datetime(5)",
        'datetime(properties["unix"]) + 60 > datetime(properties["unix"])',
        'datetime(properties["unix"]) - 60 < datetime(properties["unix"])',
        'datetime(properties["unix"]) - datetime(properties["unix"]) == 0',
        'properties["$last_seen"] >= "2026-01-31T00:00:00"',
        "datetime(NOW - 604800) < datetime(NOW)",
        "NOW - 604800 < NOW",
        'behaviors["four"] > 3',
        '(((properties["plan"]))) == "pro"',
        'properties["huge"] > 1',
        "[] == []",
    ],
)
def test_holds(source):
    assert holds(source)


@pytest.mark.parametrize(
    "source",
    [
        'properties["missing"]',
        'properties["missing"] == properties["missing"]',
        'properties["missing"] > 1',
        'properties["plan"] == "PRO"',
        'properties["plan"] > 1',
        'properties["admin"] == 1',
        'properties["seats"] == "12"',
        'properties["admin"] > 0',
        'properties["tags"] > 1',
        '1 in properties["plan"]',
        '"x" in properties["seats"]',
        "true in [1]",
        'defined(number("twelve"))',
        'defined(number(properties["tags"]))',
        'defined(string(properties["missing"]))',
        'defined(list(properties["missing"]))',
        'defined(properties["plan"] + 1)',
        'defined(properties["plan"] - "p")',
        'defined(properties["admin"] + 1)',
        'defined(properties["huge"] + 0.5)',
        'defined(datetime(5) + properties["infinity"])',
        "defined(datetime(0))",
        "defined(datetime(-5))",
        'defined(datetime(properties["bad_date"]))',
        'defined(datetime("soon"))',
        "defined(datetime(true))",
        'defined(datetime(properties["infinity"]))',
        "datetime(0) < datetime(NOW)",
        'datetime(properties["unix"]) > NOW',
    ],
)
def test_does_not_hold(source):
    assert not holds(source)


def test_literal_dates_are_in_the_projects_timezone():
    source = 'datetime("2026-01-31T12:00:00")'
    assert evaluate(source, utc_offset=3600) == where.Instant(evaluate(source).seconds - 3600)
    assert evaluate('datetime("2026-01-31T12:00:00Z")', utc_offset=3600) == evaluate(source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "properties",
        "properties[plan]",
        "properties['plan']",
        'properties["plan"',
        'properties["plan"] = "pro"',
        'properties["plan"] == "pro" and',
        'properties["plan"] == "pro" "x"',
        'properties["a"] == 1 == 2',
        'starts_with(properties["plan"], "p")',
        "unknown",
        "NOW -604800",
        "NOW-604800",
        '"open',
        r'"bad \n escape"',
        "(1",
        "[1 2]",
        "1)",
        "floor(1.5)",
        "2 * 3",
        "#",
        "or",
        "not",
        "(" * 60 + "1" + ")" * 60,
        "not " * 60 + "true",
    ],
)
def test_is_no_expression(source):
    with pytest.raises(where.WhereSyntaxError):
        where.parse(source)


@given(st.text())
def test_quoted_text_reads_as_itself(text):
    assert where.parse(where.quote(text)).evaluate(None) == text


@given(st.text(), st.text())
def test_any_property_can_be_named_and_compared(name, value):
    source = f"properties[{where.quote(name)}] == {where.quote(value)}"
    scope = where.Scope({name: value}, len, NOW)
    assert where.truth(where.parse(source).evaluate(scope))


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_read_as_themselves(number):
    assert where.parse(repr(number)).evaluate(None) == number


@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_syntax_error(source):
    try:
        expression = where.parse(source)
    except where.WhereSyntaxError:
        return
    expression.evaluate(where.Scope({}, len, NOW))


def test_long_chains_do_not_nest():
    assert holds(" or ".join(["false"] * 5000 + ["true"]))
    assert evaluate(" + ".join(["1"] * 5000)) == 5000
