"""``ProfileQuery``: every parameter of the Engage API, checked before a request is spent."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch import ConfigError, ProfileQuery
from mixpanel_fetch.filters import F

BEHAVIORS = '[{"window": "30d", "name": "b", "event_selectors": [{"event": "Buy"}]}]'
USES_THEM = 'behaviors["b"] > 0'


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_group_id_keeps_every_digit(number):
    for given_as in (number, str(number), f" {number} "):
        query = ProfileQuery(data_group_id=given_as)
        assert query.form() == {"data_group_id": str(number)}


@pytest.mark.parametrize("group", ["company", "1.5", "", "9" * 20, str(2**63), 1.5, "١٢"])
def test_what_is_no_group_id_is_refused(group):
    with pytest.raises(ConfigError, match="data_group_id"):
        ProfileQuery(data_group_id=group)


def test_a_filter_is_kept_as_its_text():
    query = ProfileQuery(F("plan") == "pro")
    assert query.where == 'properties["plan"] == "pro"'
    assert query == ProfileQuery('properties["plan"] == "pro"')


def test_ids_are_asked_for_once_each_and_as_they_are():
    query = ProfileQuery(distinct_ids=["a", '"b"', "a", "é", "$device:1"])
    assert query.distinct_ids == ("a", '"b"', "é", "$device:1")
    assert json.loads(query.form()["distinct_ids"]) == ["a", '"b"', "é", "$device:1"]


def test_a_cohort_always_says_whether_ids_without_a_profile_come():
    assert ProfileQuery(cohort_id="7").form()["include_all_users"] == "false"
    assert ProfileQuery(cohort_id="7", include_all_users=True).form() == {
        "filter_by_cohort": '{"id": 7}',
        "include_all_users": "true",
    }


def test_behaviors_get_the_moment_that_paging_needs():
    query = ProfileQuery(USES_THEM, behaviors=BEHAVIORS)
    now = datetime(2026, 11, 25, tzinfo=timezone.utc).timestamp()
    assert query.dated(now).as_of_timestamp == int(now)
    shifted = ProfileQuery(USES_THEM, behaviors=BEHAVIORS, utc_offset=-7.5)
    assert shifted.dated(now).as_of_timestamp == int(now) - 27_000
    fixed = ProfileQuery(USES_THEM, behaviors=json.loads(BEHAVIORS), as_of_timestamp=1_700_000_000)
    assert fixed.dated(now) is fixed
    assert fixed.form()["as_of_timestamp"] == "1700000000"
    assert json.loads(fixed.form()["behaviors"]) == json.loads(BEHAVIORS)
    assert ProfileQuery().dated(now) == ProfileQuery()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cohort_id": "1", "behaviors": BEHAVIORS, "where": USES_THEM}, "a cohort or behaviors"),
        ({"distinct_ids": ["a"], "where": "true"}, "nothing to choose"),
        ({"distinct_ids": ["a"], "cohort_id": "1"}, "leave the cohort out"),
        ({"include_all_users": True}, "needs cohort_id"),
        ({"as_of_timestamp": 1_700_000_000}, "keeps no history"),
        ({"utc_offset": 2}, "needs behaviors"),
        ({"behaviors": BEHAVIORS}, "needs where"),
        ({"behaviors": "[", "where": USES_THEM}, "not JSON"),
        ({"behaviors": "[]", "where": USES_THEM}, "JSON array of"),
        ({"behaviors": '[{"window": "30d"}]', "where": USES_THEM}, "JSON array of"),
        ({"as_of_timestamp": True, "behaviors": BEHAVIORS, "where": USES_THEM}, "Unix seconds"),
        ({"as_of_timestamp": 2**32, "behaviors": BEHAVIORS, "where": USES_THEM}, "Unix seconds"),
        ({"utc_offset": 15, "behaviors": BEHAVIORS, "where": USES_THEM}, "hours east"),
        ({"distinct_ids": []}, "at least one id"),
        ({"distinct_ids": ["a", ""]}, "no empty one"),
        ({"distinct_ids": "abc"}, "list of ids"),
        ({"distinct_ids": ["\ud800"]}, "UTF-8"),
        ({"where": 3}, "expression in text"),
    ],
)
def test_what_mixpanel_would_not_take_is_refused_with_its_reason(given, words):
    with pytest.raises(ConfigError, match=words):
        ProfileQuery(**given)


@pytest.mark.parametrize(
    "query",
    [
        ProfileQuery(),
        ProfileQuery("true", output_properties=["a", "$b"], data_group_id="-5"),
        ProfileQuery(distinct_ids=["a", "b"]),
        ProfileQuery(cohort_id=3, include_all_users=True),
        ProfileQuery(USES_THEM, behaviors=BEHAVIORS, utc_offset=0.0).dated(1_700_000_000),
    ],
)
def test_a_query_comes_back_from_its_document(query):
    assert ProfileQuery(**json.loads(json.dumps(query.document()))) == query
