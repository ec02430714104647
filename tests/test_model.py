"""The frozen values, and what they refuse to hold."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timezone

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, ServerError
from mixpanel_fetch.model import (
    MODES,
    Credentials,
    LoadReport,
    Page,
    PageFailure,
    ProfileBatchProgress,
    ProfileQuery,
    Rejection,
    RunInfo,
    RunRecord,
    UnreadPage,
)
from mixpanel_fetch.secret import Secret

NOW = datetime(2026, 1, 5, 10, 30, tzinfo=timezone.utc)
ACCOUNT = {"username": "svc.1", "secret": "s3cr3t", "project_id": "7"}


def run_info(**changes):
    given = {
        "run_id": "r",
        "table": "profiles",
        "mode": "create",
        "query": ProfileQuery(),
        "session_id": "s",
        "total": 25,
        "page_size": 10,
        "total_pages": 3,
        "transforms": (),
        "fingerprint": {},
        "started_at": NOW,
        "destination": "duckdb:///x",
    }
    return RunInfo(**{**given, **changes})


# Credentials


def test_a_service_account_is_credentials():
    account = Credentials(**ACCOUNT)
    assert (account.username, account.region, account.project_id) == ("svc.1", "us", "7")
    assert account.secret == Secret("s3cr3t")


def test_plain_secrets_are_wrapped_so_that_nothing_shows_them():
    account = Credentials(**ACCOUNT, api_secret="pr0ject")
    assert "s3cr3t" not in repr(account)
    assert "pr0ject" not in repr(account)
    assert pickle.loads(pickle.dumps(account)) == account


def test_a_project_secret_stands_alone():
    assert Credentials(api_secret="x").project_id is None


def test_numbers_are_taken_as_their_digits():
    account = Credentials("u", Secret("s"), 7, workspace_id=8)
    assert (account.project_id, account.workspace_id) == ("7", "8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": None}, "MP_USERNAME"),
        ({"username": ""}, "MP_USERNAME"),
        ({"secret": None}, "MP_SECRET"),
        ({"secret": ""}, "MP_SECRET"),
        ({"project_id": None}, "MP_PROJECT_ID"),
        ({"project_id": "tok3n"}, "project_id must be a number"),
        ({"project_id": "-7"}, "project_id must be a number"),
        ({"project_id": ""}, "project_id must be a number"),
        ({"project_id": "７"}, "project_id must be a number"),  # noqa: RUF001
        ({"workspace_id": "main"}, "workspace_id must be a number"),
        ({"region": "US"}, "'US'; it is one of us, eu, in"),
        ({"region": None}, "it is one of us, eu, in"),
    ],
)
def test_credentials_that_could_not_work_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Credentials(**{**ACCOUNT, **changes})
    assert "s3cr3t" not in str(caught.value)
    assert "tok3n" not in str(caught.value)


# ProfileQuery


def test_a_query_for_everything_asks_for_nothing():
    assert ProfileQuery().form() == {}
    assert ProfileQuery().document() == {}


def test_a_query_is_spelt_as_the_api_wants_it():
    query = ProfileQuery('properties["a"] == 1', " 0012 ", ["$email", "é"])
    form = query.form()
    assert form.pop("where") == 'properties["a"] == 1'
    assert json.loads(form.pop("filter_by_cohort")) == {"id": 12}
    assert form.pop("include_all_users") == "false"
    assert json.loads(form.pop("output_properties")) == ["$email", "é"]
    assert form == {}


def test_the_document_of_a_query_is_json_and_has_what_was_given():
    document = ProfileQuery(cohort_id="5", output_properties=("a",)).document()
    assert json.loads(json.dumps(document)) == {"cohort_id": "5", "output_properties": ["a"]}


def test_a_list_of_names_becomes_a_tuple_so_that_queries_compare():
    assert ProfileQuery(output_properties=["a"]) == ProfileQuery(output_properties=("a",))
    assert hash(ProfileQuery(output_properties=["a"]))


def test_a_cohort_may_be_an_int():
    assert ProfileQuery(cohort_id=5) == ProfileQuery(cohort_id="5")


@pytest.mark.parametrize(
    "given",
    [
        {"where": ""},
        {"where": " \n"},
        {"cohort_id": ""},
        {"cohort_id": "x"},
        {"cohort_id": "1.5"},
        {"cohort_id": "-1"},
        {"cohort_id": "²"},
        {"cohort_id": True},
        {"output_properties": []},
        {"output_properties": ["a", ""]},
        {"output_properties": [1]},
        {"output_properties": "$email"},
    ],
)
def test_what_could_never_be_asked_is_refused_before_a_request_is_spent(given):
    with pytest.raises(ConfigError) as caught:
        ProfileQuery(**given)
    assert "\n" not in str(caught.value)


# Progress


def test_progress_is_a_document():
    progress = ProfileBatchProgress(2, 3, 10, True)
    assert json.loads(json.dumps(progress.to_dict())) == {
        "page_index": 2,
        "total_pages": 3,
        "rows": 10,
        "success": True,
        "error": None,
    }
    assert ProfileBatchProgress(0, 1, 0, False, "503").to_dict()["error"] == "503"


@pytest.mark.parametrize(
    "given",
    [(-1, 1, 0, True), (0, 1, -1, True), (1, 1, 0, True), (0, 0, 0, True), (0, 1, 0, True, "e")],
)
def test_progress_that_contradicts_itself_is_refused(given):
    with pytest.raises(ValueError, match=r"."):
        ProfileBatchProgress(*given)


# The others


def test_a_record_knows_which_pages_are_missing():
    assert RunRecord(run_info(), "suspended", frozenset({0, 2})).missing_pages == (1,)
    assert RunRecord(run_info(), "complete", frozenset({0, 1, 2})).missing_pages == ()
    assert RunRecord(run_info(), "running").missing_pages == (0, 1, 2)


@pytest.mark.parametrize(
    "value",
    [
        Credentials(**ACCOUNT),
        ProfileQuery("a", "1", ("b",)),
        Rejection(0, 1, "r"),
        Page(0, Batch(["a"], [b"{}"], [NOW]), 1),
        ProfileBatchProgress(0, 1, 1, True),
        run_info(),
        LoadReport(1),
        RunRecord(run_info(), "partial"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_frozen_and_travels_between_processes(value):
    assert pickle.loads(pickle.dumps(value)) == value
    field = next(iter(vars(value)))
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, None)


def test_a_failure_travels_with_its_error():
    failure = PageFailure(3, "fetch", ConfigError("no"), 2)
    again = pickle.loads(pickle.dumps(failure))
    assert replace(again, error=failure.error) == failure
    assert (type(again.error), str(again.error)) == (ConfigError, "no")


def test_the_modes_are_those_of_the_contract():
    assert MODES == ("create", "append", "replace", "merge")


# Pages that are read later


def unread(read, **figures):
    return UnreadPage(read, **{"index": 3, "rows_received": 2, **figures})


def test_a_page_is_read_when_its_rows_are_first_looked_at_and_once():
    calls = []

    def read():
        calls.append(1)
        return Batch(["a"], [b"{}"], [None]), (Rejection(3, 1, "no id"),)

    page = unread(read, attempts=2)
    assert (page.index, page.rows_received, page.attempts, page.rows_missing) == (3, 2, 2, 0)
    assert calls == []
    assert len(page.rejected) == 1
    assert page.batch.distinct_ids == ["a"]
    assert calls == [1]
    assert isinstance(page, Page)


def test_a_page_that_is_read_later_travels_as_a_plain_one():
    page = unread(lambda: (Batch(["a"], [b"{}"], [None]), ()), bytes_received=9)
    there = pickle.loads(pickle.dumps(page))
    assert type(there) is Page
    assert there == Page(3, Batch(["a"], [b"{}"], [None]), 2, 9)


def test_what_reading_raises_is_raised_each_time():
    def read():
        raise ServerError("nested too deeply")

    page = unread(read)
    for _ in range(2):
        with pytest.raises(ServerError):
            page.batch  # noqa: B018
    with pytest.raises(AttributeError):
        page.other  # noqa: B018
