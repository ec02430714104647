"""Results: what they add up to, refuse, and print."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mixpanel_fetch.errors import (
    AuthenticationError,
    PaymentRequiredError,
    PluginError,
    QueryError,
    ServerError,
)
from mixpanel_fetch.model import PageFailure
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult, RunResult

NOW = datetime(2026, 1, 5, 10, 30, 0, 999_999, tzinfo=timezone.utc)


def result_of(kind=FetchResult, **changes):
    given = {"table": "profiles", "total_rows": 5, "duration_seconds": 8.5, "fetched_at": NOW}
    return kind(**{**given, **changes})


def failed(*indices, error=None):
    return {
        "failed_pages": len(indices),
        "failed_page_indices": indices,
        "failures": tuple(PageFailure(i, "fetch", error or ServerError("503"), 4) for i in indices),
    }


@pytest.mark.parametrize("kind", [FetchResult, ParallelProfileFetchResult])
def test_a_whole_result_has_no_failures_and_exits_with_zero(kind):
    result = result_of(kind, successful_pages=1)
    assert isinstance(result, RunResult)
    assert not result.has_failures
    assert result.exit_code == 0


@pytest.mark.parametrize(
    "changes",
    [
        failed(3),
        {"missing_rows": 1},
        {"rejected_rows": 1},
        {"interrupted": True},
        {"published": False},
        failed(1, error=QueryError("no")),  # 3 is for page 0, whose failure raises
        failed(1, error=OSError("disk")),
    ],
)
def test_anything_less_exits_with_one(changes):
    assert result_of(**changes).exit_code == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"rows_dropped": 9},
        {"duplicate_rows": 9},
        {"repaired_values": 9},
        {"retries": 9},
        {"warnings": ("w",)},
    ],
)
def test_what_a_user_asked_for_or_can_live_with_exits_with_zero(changes):
    assert result_of(**changes).exit_code == 0


@pytest.mark.parametrize("error", [AuthenticationError("401"), PaymentRequiredError("402")])
def test_refused_credentials_exit_with_two(error):
    assert result_of(**failed(1, error=error)).exit_code == 2


def test_failed_pages_are_listed_in_order():
    result = result_of(**failed(9, 2, 5))
    assert result.has_failures
    assert result.failed_page_indices == (2, 5, 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"table": ""},
        {"total_rows": -1},
        {"successful_pages": -1},
        {"failed_pages": -1},
        {"failed_pages": 1},
        {"failed_page_indices": (1,)},
        {"duration_seconds": -0.1},
        {"fetched_at": datetime(2026, 1, 5)},
    ],
)
def test_a_result_that_cannot_be_is_refused(changes):
    with pytest.raises(ValueError, match=r"."):
        result_of(**changes)


def test_the_document_begins_with_the_fields_of_the_contract():
    result = result_of(ParallelProfileFetchResult, successful_pages=24, **failed(7))
    document = json.loads(json.dumps(result.to_dict()))
    assert list(document.items())[:8] == [
        ("table", "profiles"),
        ("total_rows", 5),
        ("successful_pages", 24),
        ("failed_pages", 1),
        ("failed_page_indices", [7]),
        ("duration_seconds", 8.5),
        ("fetched_at", "2026-01-05T10:30:00Z"),
        ("has_failures", True),
    ]
    assert document["failures"] == [{"page": 7, "stage": "fetch", "error": "503", "attempts": 4}]


def test_the_document_has_every_field_of_the_result():
    result = result_of(inserted=None, updated=2, warnings=("w",), short_pages=(1,))
    document = result.to_dict()
    assert set(document) == {*vars(result), "has_failures"}
    assert document["inserted"] is None
    assert (document["updated"], document["warnings"], document["short_pages"]) == (2, ["w"], [1])
    assert {*FetchResult.__dataclass_fields__} >= {
        "rows_received", "rows_dropped", "duplicate_rows", "rejected_rows", "missing_rows",
        "short_pages", "repaired_values", "inserted", "updated", "retries", "page_size", "run_id",
        "interrupted", "warnings", "failed_page_indices",
    }  # fmt: skip


def test_a_duration_has_milliseconds_and_not_more():
    assert result_of(duration_seconds=1.23456).to_dict()["duration_seconds"] == 1.235


def test_fetched_at_is_printed_in_utc_whatever_its_zone():
    local = NOW.astimezone(timezone(timedelta(hours=2)))
    assert result_of(fetched_at=local).to_dict()["fetched_at"] == "2026-01-05T10:30:00Z"


def test_the_error_of_a_failed_page_is_one_line():
    document = result_of(**failed(1, error=PluginError("first\nsecond"))).to_dict()
    assert "\n" not in document["failures"][0]["error"]


def test_an_error_that_holds_no_json_does_not_break_the_document():
    result = result_of(**failed(1, error=OSError(28, "No space left", Path("/x"))))
    assert "No space left" in json.dumps(result.to_dict())


def test_the_failures_are_not_part_of_the_repr():
    assert "503" not in repr(result_of(**failed(1)))
