"""The filter builder: what it writes is in Engage's grammar and means what Python says."""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch import ConfigError
from mixpanel_fetch.filters import NOW, Behavior, F
from mixpanel_fetch.simulator import where

UTC = timezone.utc
AWKWARD = st.sampled_from(["", '"', "\\", '\\"', "a\nb", "\0", "$name", "é", "] or true or ["])
NAMES = st.text(min_size=1) | AWKWARD.filter(bool)
TEXTS = st.text() | AWKWARD
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
ORDERS = (operator.lt, operator.le, operator.gt, operator.ge)
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


def matches(condition, now=1_700_000_000, utc_offset=0, **profile):
    scope = where.Scope(profile.pop("of", profile), lambda _: 2, now, utc_offset)
    return where.truth(where.parse(str(condition)).evaluate(scope))


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (F("plan") == "pro", 'properties["plan"] == "pro"'),
        (F("seats") > 3, 'properties["seats"] > 3'),
        (F("newsletter") == True, 'properties["newsletter"] == true'),  # noqa: E712
        (
            F("a").defined() & ~F("b").defined(),
            'defined(properties["a"]) and not (defined(properties["b"]))',
        ),
        (F("$email").contains("@x.org"), '"@x.org" in properties["$email"]'),
        (
            F("$last_seen") >= datetime(2026, 1, 31, tzinfo=UTC),
            'datetime(properties["$last_seen"]) >= datetime(1769817600)',
        ),
        (
            F("p").is_in(["pro", "team"]) & (F("n") != 0),
            '(properties["p"] == "pro" or properties["p"] == "team") and properties["n"] != 0',
        ),
        (
            F("t").datetime().number() > NOW - timedelta(days=7),
            'number(datetime(properties["t"])) > (NOW - 604800)',
        ),
        (Behavior("bought") > 0, 'behaviors["bought"] > 0'),
    ],
)
def test_it_writes_the_expression(condition, text):
    assert str(condition) == text
    where.parse(text)


@given(NAMES, TEXTS, TEXTS)
def test_any_name_and_any_text_come_through_as_they_are(name, value, other):
    assert matches(F(name) == value, of={name: value})
    assert matches(F(name) == value, of={name: other}) == (value == other)
    assert matches(F(name).contains(value), of={name: other}) == (value in other)


@given(NUMBERS, NUMBERS, st.sampled_from(ORDERS))
def test_numbers_compare_as_in_python(left, right, compare):
    assert matches(compare(F("n"), right), n=left) == compare(left, right)


@given(MOMENTS, MOMENTS, st.sampled_from(ORDERS))
def test_instants_compare_as_in_python_whatever_fraction_is_asked_for(held, asked, compare):
    held = held.replace(microsecond=0)
    text = held.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert matches(compare(F("t"), asked), of={"t": text}, utc_offset=7200) == compare(held, asked)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_conditions_combine_as_sets_do(truths):
    first, second, third = (F(name) == True for name in "abc")  # noqa: E712
    one, two, three = truths
    profile = dict(zip("abc", truths, strict=True))
    assert matches((first | second) & third, **profile) == ((one or two) and three)
    assert matches(first | second & third, **profile) == (one or (two and three))
    assert matches(~(first & second) | third, **profile) == (not (one and two) or three)
    assert matches(~first & second, **profile) == (not one and two)
    assert matches(~~first, **profile) == one


def test_a_long_chain_stays_flat():
    chain = F("n") == 0
    for number in range(1, 500):
        chain |= F("n") == number
    assert matches(chain, n=499)
    assert not matches(chain, n=500)


def test_sums_keep_their_sides_apart():
    assert matches(F("a") - (F("b") - F("c")) == 6, a=5, b=1, c=2)
    assert matches(F("a") + -3 == 2, a=5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: F(""), "name of a property"),
        (lambda: F("a") == None, "cannot compare with None"),  # noqa: E711
        (lambda: F("a") > math.inf, "cannot compare with inf"),
        (lambda: F("a").is_in([]), "at least one value"),
        (lambda: F("a") > datetime(2026, 1, 1), "needs a time zone"),
        (lambda: F("a") > datetime(1960, 1, 1, tzinfo=UTC), "from 1970 to 2106"),
        (lambda: F("a") == datetime(2026, 1, 1, 0, 0, 0, 5, UTC), "whole seconds"),
    ],
)
def test_what_the_language_cannot_say_is_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_pythons_own_and_or_not_are_refused_and_not_misread():
    with pytest.raises(TypeError, match=r"&, \| and ~"):
        (F("a") == 1) and (F("b") == 2)
    with pytest.raises(TypeError, match=r"&, \| and ~"):
        1 < F("a") < 3  # noqa: B015
    with pytest.raises(TypeError):
        (F("a") == 1) & True
