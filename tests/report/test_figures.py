"""Figures as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from mixpanel_fetch.report.figures import count, duration, filled, instant, ranges, share


@pytest.mark.parametrize(
    ("part", "whole", "shown", "bar"),
    [
        (0, 0, "0%", 0),
        (0, 9, "0%", 0),
        (9, 9, "100%", 100),
        (1, 25_000, "<0.1%", 1),
        (24_999, 25_000, ">99.9%", 99),
        (1, 3, "33.3%", 33),
        (12_345, 25_000, "49.4%", 49),
    ],
)
def test_only_all_is_100_per_cent_and_only_nothing_is_0(part, whole, shown, bar):
    assert (share(part, whole), filled(part, whole)) == (shown, bar)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([], ""),
        ([3], "3"),
        ([3, 7, 8, 9, 12], "3, 7\u20139, 12"),
        ([0, 1], "0\u20131"),
        (list(range(600)), "0\u2013599"),
    ],
)
def test_neighbours_are_one_range(numbers, shown):
    assert ranges(numbers) == shown


def test_of_many_ranges_the_first_are_shown_and_the_others_counted():
    shown = ranges(range(0, 2000, 2))
    assert shown.startswith("0, 2, 4, ")
    assert shown.endswith(", 38 and 980 more")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (3.44, "3.4 s"),
        (125.4, "2 min 5 s"),
        (3_780, "1 h 3 min"),
        (90_000, "1 d 1 h"),
        (-5, "0.0 s"),
    ],
)
def test_a_duration_is_told_in_its_largest_units(seconds, shown):
    assert duration(timedelta(seconds=seconds)) == shown


def test_times_are_in_utc():
    zone = timezone(timedelta(hours=2))
    assert instant(datetime(2026, 11, 25, 1, 30, tzinfo=zone)) == "2026-11-24T23:30:00Z"
    assert instant(datetime(2026, 11, 25, 1, 30)) == "2026-11-25T01:30:00Z"


def test_one_is_singular():
    assert (count(1, "row"), count(1_200, "row")) == ("1 row", "1,200 rows")
