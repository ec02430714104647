"""Counting the rows of a session that does not say how many there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.probing import count_rows


class Pages:
    """Single pages of ``total`` rows; remembers which were asked for."""

    def __init__(self, total, size):
        self.total, self.size, self.asked = total, size, []

    def rows_of(self, index):
        self.asked.append(index)
        return max(0, min(self.size, self.total - index * self.size))


@given(st.integers(1, 10_000), st.integers(0, 10**9))
def test_it_finds_every_row_in_few_pages(size, beyond):
    pages = Pages(size + beyond, size)
    assert count_rows(pages.rows_of, size) == pages.total
    assert len(pages.asked) <= 2 * max(1, (pages.total // size).bit_length()) + 1
    assert len(set(pages.asked)) == len(pages.asked)


def test_a_single_full_page_costs_one_more():
    pages = Pages(100, 100)
    assert count_rows(pages.rows_of, 100) == 100
    assert pages.asked == [1]


@pytest.mark.parametrize("gap", [2, 4, 8])
def test_rows_behind_what_looks_like_the_end_are_no_end(gap):
    pages = Pages(1200, 100)
    with pytest.raises(ServerError, match=f"page {gap} is not full, and yet others follow"):
        count_rows(lambda index: 0 if index == gap else pages.rows_of(index), 100)


def test_it_gives_up_on_a_server_without_end():
    with pytest.raises(ServerError, match="does not say how many"):
        count_rows(lambda index: 100, 100)
