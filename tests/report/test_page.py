"""The page as text: what it says, what it must never hold, and how large it is."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import date
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.reading import PropertySummary
from mixpanel_fetch.report.text import visible

MEGABYTE = 1_000_000
VOID = {"meta", "link", "input", "line", "rect"}


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.open, self.pieces = [], [], []
        self.feed(page)
        self.close()
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.pieces.append(data)

    def shape(self):
        return [(tag, sorted(attrs)) for tag, attrs in self.elements]


def inline(page, tag):
    (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)
    return text


PLAN = PropertySummary(
    "plan", 24_310, {"string": 24_310}, 3, top=(('"free"', 20_000), ('"pro"', 4_310))
)
AGE = PropertySummary(
    "age", 500, {"string": 30, "number": 450, "null": 20}, 90, distinct_is_exact=False
)


# What it says


def test_the_head_tells_table_destination_rows_and_the_last_fetch(summary_of, run_of, page_of):
    text = Parsed(page_of(summary_of([PLAN, AGE]), [run_of()])).text
    assert "profiles Rows 25,000 Properties 2" in text
    assert "Last fetch complete 2026-11-25 11:00 UTC" in text
    assert "Report made 2026-11-25 12:00 UTC" in text
    assert "Destination duckdb:///profiles.duckdb" in text


def test_a_property_has_coverage_types_distinct_and_top_values(summary_of, page_of):
    text = Parsed(page_of(summary_of([PLAN]))).text
    assert 'plan 97.2% 24,310 string 3 "free" 82.3% "free" 20,000 "pro" 4,310' in text


def test_a_conflict_is_flagged_and_listed_with_its_counts(summary_of, page_of):
    text = Parsed(page_of(summary_of([PLAN, AGE]))).text
    assert "age 2.0% 500 mixed number 450, string 30, null 20 ≈ 90" in text.replace("\xa0", " ")
    assert "Property String Number Null age 30 450 20" in text
    assert "Type conflicts 1" in text


def test_null_beside_one_type_is_no_conflict(summary_of, page_of):
    each = PropertySummary("age", 500, {"number": 480, "null": 20}, 90)
    text = Parsed(page_of(summary_of([each]))).text
    assert "number 480, null 20" in text.replace("\xa0", " ")
    assert "No property has values of more than one type." in text
    assert "mixed" not in text


@pytest.mark.parametrize(
    ("given", "warning"),
    [
        (
            {"status": "partial", "missing": (3, 7, 8, 9)},
            "The last fetch lacks pages: 4 of 25 pages did not land (numbered from 0: 3, 7\u20139)."
            " Table profiles is incomplete. The same fetch with --resume asks for the missing",
        ),
        (
            {"status": "suspended", "missing": (24,), "rows": None},
            "The last fetch was interrupted: 1 of 25 pages did not land (numbered from 0: 24)."
            " The table is as it was before.",
        ),
        (
            {"status": "running", "missing": (0,), "pages": 1, "rows": None},
            "The last fetch has not ended: 1 of 1 page did not land (numbered from 0: 0). The"
            " table is as it was before. If no fetch is running now, it was killed. The same",
        ),
        (
            {"status": "suspended", "rows": None},
            "The last fetch was interrupted: 25 pages came, and are not published.",
        ),
        (
            {"status": "aborted", "missing": range(25), "rows": None},
            "The last fetch was given up. The table is as it was before. Fetch the table again.",
        ),
        (
            {"status": "suspended", "missing": (3,), "rows": 24_000},
            "(numbered from 0: 3). Table profiles is incomplete.",
        ),
    ],
)
def test_a_last_run_that_is_incomplete_is_told_at_the_top(
    given, warning, summary_of, run_of, page_of
):
    page = Parsed(page_of(summary_of([PLAN]), [run_of(**given), run_of(hours=30)]))
    assert ("div", {"class": "notice", "role": "note", "aria-label": "Warning"}) in page.elements
    assert warning in page.text


def test_a_complete_last_run_needs_no_warning(summary_of, run_of, page_of):
    runs = [run_of(), run_of("partial", missing=(3,), hours=30)]
    page = Parsed(page_of(summary_of([PLAN]), runs))
    assert not any(attrs.get("class") == "notice" for _, attrs in page.elements)


def test_the_history_lists_each_run_with_what_it_lacks(summary_of, run_of, page_of):
    runs = [
        run_of(),
        run_of("suspended", missing=(12, 24), rows=None, hours=2),
        run_of("aborted", missing=range(25), rows=None, hours=3),
    ]
    text = Parsed(page_of(summary_of([PLAN]), runs)).text
    assert "2026-11-25 11:00 UTC run-1 complete replace 25 of 25 \u2013 25,000 3.4 s" in text
    assert "2026-11-25 10:00 UTC run-2 suspended replace 23 of 25 12, 24 \u2013 3.4 s" in text
    assert "2026-11-25 09:00 UTC run-3 aborted replace 0 of 25 \u2013 \u2013 3.4 s" in text


def test_runs_of_other_tables_are_left_out(summary_of, run_of, page_of):
    text = Parsed(page_of(summary_of([PLAN]), [run_of(table="users", hours=5)])).text
    assert "run-5" not in text
    assert "Last fetch not recorded" in text
    assert "The destination remembers no fetch of this table." in text


def test_of_many_runs_the_last_are_listed_and_all_counted(summary_of, run_of, page_of):
    runs = [run_of(hours=hours) for hours in range(1, 121)]
    text = Parsed(page_of(summary_of([PLAN]), runs)).text
    assert "The last 50 of 120 runs." in text
    assert "run-50" in text
    assert "run-51" not in text


def test_the_chart_comes_with_its_numbers_in_words_and_in_a_table(summary_of, page_of):
    days = ((date(2026, 11, 1), 1_500), (date(2026, 11, 3), 20))
    page = Parsed(page_of(summary_of([PLAN], days=days, rows=1_537)))
    assert "1,520 rows by day from 2026-11-01 to 2026-11-03. The most are 1,500" in page.text
    assert "Day Rows 2026-11-01 1,500 2026-11-02 0 2026-11-03 20 never 17" in page.text
    assert "17 of 1,537 rows have none." in page.text
    assert sum(tag == "rect" for tag, _ in page.elements) == 2


def test_days_left_out_of_the_chart_are_told(summary_of, page_of):
    days = ((date(1970, 1, 1), 3), (date(2026, 11, 1), 1_500), (date(2106, 2, 7), 4))
    text = Parsed(page_of(summary_of([PLAN], days=days))).text
    told = "Too far from the others to be drawn: 3 before 2026-11-01 and 4 after 2026-11-01."
    assert told in text
    assert "before 2026-11-01 3 2026-11-01 1,500 after 2026-11-01 4 never 17" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"days": (), "never_seen": 25_000}, "None of the 25,000 rows has a last_seen"),
        ({"days": (), "never_seen": 0, "rows": 0}, "The table has no rows."),
    ],
)
def test_a_table_with_little_in_it_says_so(changes, words, summary_of, page_of):
    text = Parsed(page_of(summary_of(**changes))).text
    assert words in text
    assert "No row has a property." in text
    assert "No property has values of more than one type." in text


# What it must never hold


def test_its_policy_allows_its_own_style_and_script_and_nothing_else(summary_of, page_of):
    page = page_of(summary_of([PLAN]))
    (policy,) = (
        attrs["content"]
        for _, attrs in Parsed(page).elements
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        digest = hashlib.sha256(inline(page, tag).encode()).digest()
        assert rules[f"{tag}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "unsafe" not in policy


def test_it_refers_to_nothing_outside_of_itself(summary_of, page_of, run_of):
    page = page_of(summary_of([PLAN, AGE]), [run_of()])
    for _, attrs in Parsed(page).elements:
        assert not attrs.keys() & {"src", "srcset", "action", "style"}
        assert attrs.get("href", "#").startswith(("#", "data:"))
    assert "url(" not in inline(page, "style")
    assert "@import" not in inline(page, "style")


def test_the_destination_shows_no_secret(summary_of, page_of):
    page = page_of(summary_of([PLAN]), destination="postgresql://me:hunter2@host/db?sslkey=hunter2")
    assert "hunter2" not in page
    assert "postgresql://***@host/db?sslkey=***" in page


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(text=st.text(st.characters(codec=None), min_size=1, max_size=60))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_any_text_is_only_text(text, summary_of, run_of, page_of):
    def page(word):
        each = PropertySummary(word, 9, {"string": 4, "number": 5}, 2, top=((word, 5), (word, 4)))
        runs = [run_of("partial", missing=(1,), table=word)]
        return Parsed(page_of(summary_of([each], table=word), runs, destination=word))

    found = page(text)
    assert found.shape() == page("x").shape()
    assert found.open == []
    assert " ".join(visible(text).split()) in found.text


# How large it is


def test_the_page_of_60_properties_is_small(summary_of, many_properties, run_of, page_of):
    runs = [run_of(hours=hours) for hours in range(1, 50)]
    assert len(page_of(summary_of(many_properties(60)), runs).encode()) < MEGABYTE / 5


@pytest.mark.no_cover  # long; shorter tests cover the same lines
def test_2000_properties_are_all_there_in_less_than_2_megabytes(
    summary_of, many_properties, page_of
):
    page = page_of(summary_of(many_properties(2_000)))
    assert len(page.encode()) < 2 * MEGABYTE
    assert page.count('<tr><th scope="row">a property with quite a name') == 2_000 + 200
    assert page.count("<code>&#34;a value of some 4 length&#34;") == 2_000


@pytest.mark.no_cover  # long; shorter tests cover the same lines
@pytest.mark.parametrize("text", ['"' + "&" * 500 + '{}"', '"' + "\U0001f642" * 500 + '{}"'])
def test_long_values_are_cut_where_they_would_not_fit(text, summary_of, many_properties, page_of):
    page = page_of(summary_of(many_properties(2_000, text=text)))
    assert MEGABYTE / 2 < len(page.encode()) < 2 * MEGABYTE
    assert page.count('<tr><th scope="row">a property with quite a name') == 2_000 + 200


@pytest.mark.no_cover  # long; shorter tests cover the same lines
def test_of_more_properties_than_fit_the_first_are_shown_and_all_counted(
    summary_of, many_properties, page_of
):
    page = page_of(summary_of(many_properties(6_000)))
    assert len(page.encode()) < 2 * MEGABYTE
    told = re.search(r"Shown are the first ([\d,]+) of 6,000 properties", Parsed(page).text)
    shown = int(told[1].replace(",", ""))
    assert page.count('<td class="bar c') == shown > 2_000


def test_a_text_of_10_megabytes_is_cut_wherever_it_stands(summary_of, run_of, page_of):
    huge = "<é>" * (10 * MEGABYTE // 3)
    each = PropertySummary(huge, 9, {"string": 4, "number": 5}, 1, top=((huge, 9),))
    runs = [run_of("partial", missing=(1,), table=huge)]
    page = page_of(summary_of([each], table=huge), runs, destination=f"duckdb:///{huge}")
    assert len(page.encode()) < MEGABYTE / 10
