"""Days gathered into periods, and laid out as bars."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.report.charts import HEIGHT, TOP, bar_chart
from mixpanel_fetch.report.periods import periods_of

LAST = date(2026, 11, 25)


def daily(days, rows=10, every=1):
    """The last ``days`` days, or one in so many of them."""
    return [(LAST - timedelta(days=ago), rows) for ago in range(days - 1, -1, -every)]


def test_no_day_no_chart():
    assert periods_of([]) is None


@pytest.mark.parametrize(
    ("days", "step", "first"),
    [
        (1, "day", "2026-11-25"),
        (62, "day", "2026-09-25"),
        (63, "week", "2026-09-21"),  # the Monday before 2026-09-24
        (700, "month", "2024-12"),
        (4_000, "year", "2015"),
        (40_000, "decade", "1910s"),
        (700_000, "century", "0100s"),
    ],
)
def test_periods_grow_with_the_time_they_cover(days, step, first):
    given = daily(days, every=max(1, days // 1_000))
    periods = periods_of(given)
    assert (periods.step, periods.rows[0][0]) == (step, first)
    assert sum(rows for _, rows in periods.rows) == 10 * len(given)


def test_periods_without_rows_are_there_too():
    periods = periods_of([(date(2026, 11, 1), 2), (date(2026, 11, 4), 3)])
    assert periods.rows == (
        *(("2026-11-01", 2), ("2026-11-02", 0)),
        *(("2026-11-03", 0), ("2026-11-04", 3)),
    )


def test_a_few_days_far_from_all_others_are_counted_and_left_out():
    days = [(date(1970, 1, 1), 1), *daily(40), (date(2106, 2, 7), 2)]
    periods = periods_of(days)
    assert (periods.step, periods.earlier, periods.later) == ("day", 1, 2)
    assert (periods.first, periods.last) == (date(2026, 10, 17), LAST)


def test_a_thin_tail_without_a_gap_stays():
    days = [*((LAST - timedelta(days=ago), 1) for ago in range(300, 30, -10)), *daily(30, 1_000)]
    periods = periods_of(days)
    assert (periods.earlier, periods.first) == (0, LAST - timedelta(days=300))


def test_many_rows_far_away_stay():
    assert periods_of([(date(1970, 1, 1), 90), *daily(40)]).earlier == 0


@given(st.dictionaries(st.dates(), st.integers(1, 10**9), min_size=1, max_size=40))
def test_every_row_is_in_a_period_or_counted_as_left_out(days):
    periods = periods_of(sorted(days.items()))
    drawn = sum(rows for _, rows in periods.rows)
    assert drawn + periods.earlier + periods.later == sum(days.values())
    assert len(periods.rows) <= 101
    chart = bar_chart(periods)
    assert sum(bar.rows for bar in chart.bars) == drawn
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 for bar in chart.bars)
    assert all(a.x + a.width <= b.x for a, b in pairwise(chart.bars))
    assert all(1 <= bar.height <= HEIGHT for bar in chart.bars)
    assert all(bar.y + bar.height == pytest.approx(TOP + HEIGHT) for bar in chart.bars)


def test_bars_are_as_high_as_their_rows():
    chart = bar_chart(periods_of([(date(2026, 11, 1), 500), (date(2026, 11, 2), 1_000)]))
    half, whole = chart.bars
    assert whole.height == HEIGHT
    assert half.height == HEIGHT / 2
    assert [line.label for line in chart.lines] == ["0", "500", "1,000"]


@pytest.mark.parametrize(
    ("days", "labels"),
    [(1, ["2026-11-25"]), (2, ["2026-11-24", "2026-11-25"]), (40, 4), (62, 4)],
)
def test_few_labels_name_the_first_and_the_last_period(days, labels):
    found = [label.label for label in bar_chart(periods_of(daily(days))).labels]
    assert found == labels if isinstance(labels, list) else len(found) == labels
    assert found[-1] == "2026-11-25"
