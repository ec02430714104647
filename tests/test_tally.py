"""The counters: one fold over what was received, landed and failed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.model import LoadReport, Page, PageFailure, ProfileQuery, Rejection, RunInfo
from mixpanel_fetch.result import FetchResult
from mixpanel_fetch.tally import Settled, Tally

unhurried = settings(max_examples=50, deadline=None, database=None)
FAILURE = PageFailure(1, "fetch", ServerError("503"), 4)


def run_info(total=30, total_pages=3):
    return RunInfo(
        run_id="r",
        table="profiles",
        mode="merge",
        query=ProfileQuery(),
        session_id="s",
        total=total,
        page_size=10,
        total_pages=total_pages,
        transforms=(),
        fingerprint={},
        started_at=datetime(2026, 1, 5, tzinfo=timezone.utc),
        destination="duckdb:///x",
    )


def page(index=0, **changes):
    given = {"rows_received": 10, "attempts": 1}
    return Page(index, Batch(["a"], [b"{}"], [None]), **{**given, **changes})


def tally_of(*settled, total_pages=3):
    tally = Tally(total_pages)
    for one in settled:
        tally.add(one)
    return tally


def test_the_figures_of_a_page_come_without_its_rows():
    received = page(
        2,
        rows_received=9,
        attempts=3,
        rejected=(Rejection(2, 0, "r"),),
        repaired_values=4,
        rows_missing=3,
    )
    settled = Settled.of_page(received, rows_landed=6, rows_dropped=2)
    assert settled == Settled(2, 3, 6, 9, 2, 1, 4, 3, 0, None)


def test_a_whole_run_adds_up():
    tally = tally_of(*(Settled.of_page(page(i), rows_landed=10) for i in (2, 0, 1)))
    figures = tally.figures(
        run_info(), LoadReport(total_rows=29, inserted=20, updated=9, duplicate_rows=1), 1.5
    )
    result = FetchResult(**figures)
    assert (result.total_rows, result.rows_received, result.missing_rows) == (29, 30, 0)
    assert (result.successful_pages, result.failed_pages) == (3, 0)
    assert (result.inserted, result.updated, result.duplicate_rows) == (20, 9, 1)
    assert (result.table, result.mode, result.run_id) == ("profiles", "merge", "r")
    assert (result.page_size, result.total_pages, result.destination) == (10, 3, "duckdb:///x")
    assert result.exit_code == 0
    assert result.fetched_at.tzinfo is timezone.utc


def test_a_page_that_failed_or_was_never_asked_for_is_missing():
    tally = tally_of(Settled.of_page(page(0), rows_landed=10), Settled.of_failure(FAILURE))
    figures = tally.figures(run_info(), None, 1.0)
    assert tally.missing == figures["failed_page_indices"] == (1, 2)
    assert figures["failed_pages"] == 2
    assert figures["failures"] == (FAILURE,)
    assert figures["missing_rows"] == 20
    assert figures["retries"] == 3


def test_a_page_whose_transform_raised_was_received_all_the_same():
    failure = PageFailure(1, "transform", ServerError("x"), 2)
    tally = tally_of(Settled.of_page(page(1, attempts=2), failure=failure))
    assert (tally.rows_received, tally.rows_landed, tally.retries) == (10, 0, 1)
    assert tally.missing == (0, 1, 2)
    assert tally.failures == {1: failure}


def test_a_page_that_lands_at_last_is_no_failure_any_more():
    tally = tally_of(Settled.of_failure(FAILURE), Settled.of_page(page(1), rows_landed=10))
    assert tally.failures == {}
    assert tally.missing == (0, 2)


def test_pages_of_an_earlier_try_count_as_landed():
    tally = Tally(3, landed={0, 2})
    tally.add(Settled.of_page(page(1), rows_landed=10))
    assert tally.missing == ()
    assert tally.figures(run_info(), None, 1.0)["successful_pages"] == 3


@pytest.mark.parametrize(
    ("report", "total_rows"), [(None, 7), (LoadReport(), 7), (LoadReport(0), 0)]
)
def test_the_sinks_word_on_the_rows_wins_where_it_has_one(report, total_rows):
    tally = tally_of(Settled.of_page(page(), rows_landed=7))
    assert tally.figures(run_info(), report, 1.0)["total_rows"] == total_rows


@pytest.mark.parametrize(("total", "missing"), [(None, 0), (5, 0), (10, 0), (11, 1)])
def test_more_rows_than_announced_are_not_missing_rows(total, missing):
    tally = tally_of(Settled.of_page(page(), rows_landed=10), total_pages=1)
    assert tally.figures(run_info(total, 1), None, 1.0)["missing_rows"] == missing


def test_repaired_values_of_pages_and_sink_are_added():
    tally = tally_of(Settled.of_page(page(repaired_values=2)))
    assert tally.figures(run_info(), LoadReport(repaired_values=3), 1.0)["repaired_values"] == 5


outcomes = st.lists(
    st.builds(
        lambda fails, received, dropped, rejected, attempts, short: (
            fails, received, min(dropped, received), min(rejected, received), attempts, short
        ),
        st.booleans(), st.integers(0, 10), st.integers(0, 5), st.integers(0, 5),
        st.integers(1, 4), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@unhurried
@given(outcomes, st.randoms(use_true_random=False))
def test_the_order_in_which_pages_settle_changes_nothing(rows, random):
    settled = [
        Settled.of_failure(PageFailure(index, "fetch", ServerError("x"), attempts))
        if fails
        else Settled(index, attempts, received - dropped, received, dropped, rejected, 1, short)
        for index, (fails, received, dropped, rejected, attempts, short) in enumerate(rows)
    ]
    shuffled = list(settled)
    random.shuffle(shuffled)
    total_pages = max(1, len(rows))
    one, other = (
        tally_of(*some, total_pages=total_pages).figures(run_info(100, total_pages), None, 1.0)
        for some in (settled, shuffled)
    )
    del one["fetched_at"], other["fetched_at"]
    assert one == other
    assert one["successful_pages"] + one["failed_pages"] == total_pages
    assert one["total_rows"] + one["rows_dropped"] == one["rows_received"]
    kinds = Counter(one.failure is None for one in settled)
    assert len(one["failures"]) == kinds[False]
    FetchResult(**one, fetched_at=datetime.now(timezone.utc))
