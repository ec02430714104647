"""The signatures that came with the mission: nothing but keyword-only additions with defaults."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import datetime, timezone

import pytest

from mixpanel_fetch import (
    FetcherService,
    MixpanelAPIClient,
    ParallelProfileFetcherService,
    ParallelProfileFetchResult,
    ProfileBatchProgress,
    Workspace,
)

QUERY = {"where": None, "cohort_id": None, "output_properties": None}
PARALLEL = {"parallel": False, "max_workers": None, "on_batch_complete": None}


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        (MixpanelAPIClient.query_engage_page, ["page"], {"session_id": None, **QUERY}),
        (
            ParallelProfileFetcherService.fetch_profiles,
            ["name"],
            {
                **QUERY,
                "max_workers": None,
                "on_batch_complete": None,
                "append": False,
                "batch_size": 1000,
            },
        ),
        (FetcherService.fetch_profiles, ["name"], PARALLEL),
        (Workspace.fetch_profiles, ["name"], {**PARALLEL, "progress": True}),
    ],
)
def test_a_method_has_the_contracts_signature(function, positional, keywords):
    parameters = list(inspect.signature(function).parameters.values())[1:]
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    rest = parameters[len(positional) :]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest)
    assert keywords.items() <= {p.name: p.default for p in rest}.items()


def test_the_parallel_service_is_made_of_a_client_and_a_storage():
    parameters = inspect.signature(ParallelProfileFetcherService).parameters
    assert list(parameters) == ["api_client", "storage"]


def test_the_result_has_the_contracts_fields_and_is_frozen():
    result = ParallelProfileFetchResult(
        table="profiles",
        total_rows=25000,
        successful_pages=25,
        failed_pages=0,
        failed_page_indices=(),
        duration_seconds=8.5,
        fetched_at=datetime(2026, 1, 5, 10, 30, tzinfo=timezone.utc),
    )
    assert dict(list(result.to_dict().items())[:8]) == {
        "table": "profiles",
        "total_rows": 25000,
        "successful_pages": 25,
        "failed_pages": 0,
        "failed_page_indices": [],
        "duration_seconds": 8.5,
        "fetched_at": "2026-01-05T10:30:00Z",
        "has_failures": False,
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.total_rows = 1


def test_progress_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ProfileBatchProgress(0, 1, 5, True).rows = 6
