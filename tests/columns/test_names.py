"""Names of columns: deterministic, apart from each other, and taken without quotes."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.columns import ColumnMapping, column_name
from mixpanel_fetch.columns.names import LONGEST, OWN

PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
NAMES = st.text(max_size=300) | st.sampled_from(
    ["$name", "name", "Name", "NAME", "select", "", "$", "7", "é", "distinct_id", "a" * 300]
)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [("$email", "email"), ("Plan Tier", "plan_tier"), ("Größe", "grosse"), ("2024", "p_2024")],
)
def test_a_name_stays_readable(given_name, expected):
    assert column_name(given_name) == expected


@given(st.lists(NAMES, max_size=40, unique=True))
def test_columns_are_apart_whatever_case_a_store_folds_to(names):
    mapping = ColumnMapping().evolved({name: {"text": 1} for name in names})
    columns = [column.name for column in mapping.columns]
    assert len(columns) == len({name.lower() for name in columns}) == len(names)
    assert not OWN & set(columns)
    assert all(PLAIN.fullmatch(name) and len(name) <= LONGEST for name in columns)
    assert mapping == ColumnMapping().evolved({name: {"text": 1} for name in reversed(names)})


def test_every_word_that_duckdb_reserves_is_evaded():
    rows = duckdb.execute(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
    ).fetchall()
    for (word,) in rows:
        duckdb.execute(
            f"SELECT 1 AS {column_name(word)}, {column_name(word)} FROM"
            f" (SELECT 2 AS {column_name(word)})"
        )


def test_a_property_that_comes_later_takes_no_name_away():
    first = ColumnMapping().evolved({"Name": {"text": 1}})
    later = first.evolved({"Name": {"text": 1}, "name": {"text": 1}})
    names = {column.property: column.name for column in later.columns}
    assert names["Name"] == "name"
    assert names["name"] == column_name("name", {"name"}) != "name"
