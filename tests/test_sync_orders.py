"""Keeping in step, decided: full or incremental, from when on, and what is asked for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch import ConfigError, ProfileQuery
from mixpanel_fetch.simulator import where
from mixpanel_fetch.sync import HOUR, SyncOrder, SyncState, SyncWish, order_for

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def state(**given):
    return SyncState("key", **{"cursor": NOW - DAY, "full_at": NOW - 2 * DAY, **given})


@pytest.mark.parametrize(
    ("wish", "known", "kind"),
    [
        (SyncWish(), None, "full"),
        (SyncWish(), state(), "incremental"),
        (SyncWish(full=True), state(), "full"),
        (SyncWish(), state(cursor=None), "full"),
        (SyncWish(), state(full_at=None), "full"),
        (SyncWish(), state(full_at=NOW - timedelta(days=7)), "full"),
        (SyncWish(full_every=None), state(full_at=NOW - timedelta(days=700)), "incremental"),
        (SyncWish(full_every=2 * DAY), state(), "full"),
        (SyncWish(full_every=2 * DAY + HOUR), state(), "incremental"),
    ],
)
def test_a_run_is_full_the_first_time_and_when_it_is_due(wish, known, kind):
    assert order_for(wish, known, "key", NOW).kind == kind


def test_an_incremental_run_goes_back_by_the_overlap():
    order = order_for(SyncWish(overlap=3 * HOUR), state(), "key", NOW)
    assert order.since == NOW - DAY - 3 * HOUR


def test_a_table_that_follows_something_else_is_refused():
    with pytest.raises(ConfigError, match="another query"):
        order_for(SyncWish(), state(), "another key", NOW)


@given(st.datetimes(timezones=st.just(timezone.utc)) | st.none())
def test_an_order_comes_back_from_its_text(since):
    order = SyncOrder("key", "incremental", "hard", history=True, since=since)
    assert SyncOrder.of_text(order.text()) == order


def asks_for(order, text, *, utc_offset, wanted=None):
    query = order.query(wanted or ProfileQuery())
    scope = where.Scope({"$last_seen": text, "plan": "pro"}, lambda _: 0, 0, utc_offset * 3600)
    return where.truth(where.parse(query.where).evaluate(scope))


@given(
    st.integers(-14, 14),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_whatever_changed_since_is_asked_for_in_whatever_zone_mixpanel_compares(zone, seen, since):
    order = SyncOrder("key", "incremental", since=since.replace(tzinfo=timezone.utc))
    text = seen.strftime("%Y-%m-%dT%H:%M:%S")
    if seen.replace(microsecond=0) >= since.replace(microsecond=0):
        assert asks_for(order, text, utc_offset=zone)


def test_the_users_own_filter_holds_too():
    order = SyncOrder("key", "incremental", since=NOW)
    wanted = ProfileQuery('properties["plan"] == "pro" or properties["plan"] == "team"')
    later = "2026-11-26T00:00:00"
    assert asks_for(order, later, utc_offset=0, wanted=wanted)
    assert not asks_for(order, "2026-11-20T00:00:00", utc_offset=0, wanted=wanted)
    free = ProfileQuery('properties["plan"] == "free" or false')
    assert not asks_for(order, later, utc_offset=0, wanted=free)


def test_a_full_run_asks_for_what_the_user_wants():
    wanted = ProfileQuery("true")
    assert SyncOrder("key", "full").query(wanted) is wanted


def test_a_clock_that_is_ahead_does_not_take_the_cursor_along():
    order = SyncOrder("key", "incremental")
    after = state().after(order, NOW + 900 * DAY, NOW)
    assert (after.cursor, after.full_at) == (NOW, state().full_at)
    assert state().after(order, NOW - 3 * DAY, NOW).cursor == state().cursor
    assert state().after(SyncOrder("key", "full"), None, NOW).full_at == NOW


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"delete": "all"}, "mark, hard, ignore"),
        ({"max_gone": 50}, "share of the table"),
        ({"overlap": -HOUR}, "negative"),
        ({"full_every": timedelta(0)}, "longer"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        SyncWish(**given)
