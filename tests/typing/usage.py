"""What a type checker has to make of the public names; checked by ``mypy --strict``, never run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from typing_extensions import assert_type

from mixpanel_fetch import (
    Batch,
    F,
    FetcherService,
    FetchResult,
    IncompleteFetchError,
    MixpanelAPIClient,
    ParallelProfileFetcherService,
    ParallelProfileFetchResult,
    ProfileBatchProgress,
    ProfileStream,
    ProgressCallback,
    QueryResult,
    RunInfo,
    RunRecord,
    StorageEngine,
    TableInfo,
    TableLoad,
    TableSummary,
    Workspace,
)


def fetch(workspace: Workspace, several: bool, cancel: Event) -> None:
    """The kind of a result follows from ``parallel``."""
    assert_type(workspace.fetch_profiles(), FetchResult)
    assert_type(workspace.fetch_profiles("users", parallel=False, progress=False), FetchResult)
    assert_type(
        workspace.fetch_profiles("users", parallel=True, mode="replace", cancel=cancel),
        ParallelProfileFetchResult,
    )
    assert_type(
        workspace.fetch_profiles(parallel=several, page_size="auto"),
        FetchResult | ParallelProfileFetchResult,
    )
    workspace.fetch_profiles(mode="remplace")  # type: ignore[call-overload]
    workspace.fetch_profiles(colour="red")  # type: ignore[call-overload]
    workspace.fetch_profiles("users", "second")  # type: ignore[call-overload]


def others(workspace: Workspace) -> None:
    """What is no user's profile, and what is made of tables."""
    assert_type(workspace.list_cohorts()[0].count, int | None)
    workspace.fetch_cohort_members(cohort_ids=[7, "9"], mode="merge", progress=False)
    workspace.fetch_groups("company", where=F("plan") == "pro", parallel=True)
    workspace.fetch_cohorts(where="true")  # type: ignore[call-arg]
    assert_type(workspace.keep_columns("users", on_drift="evolve").evolved, bool)
    workspace.keep_columns("users", on_drift="panic")  # type: ignore[arg-type]
    assert_type(workspace.report("users"), Path)


def services(client: MixpanelAPIClient, storage: StorageEngine) -> None:
    """The contract's services."""
    service = FetcherService(client, storage)
    assert_type(service.fetch_profiles("users"), FetchResult | ParallelProfileFetchResult)
    parallel = ParallelProfileFetcherService(client, storage)
    assert_type(parallel.fetch_profiles("users", append=True), ParallelProfileFetchResult)


def stream(workspace: Workspace) -> None:
    """Rows, batches and the result of a stream."""
    with workspace.stream_profiles(where='properties["plan"] == "pro"') as profiles:
        assert_type(profiles, ProfileStream)
        for profile in profiles:
            assert_type(profile, dict[str, Any])
        assert_type(profiles.batches(), Iterator[Batch])
        if profiles.result is not None:
            assert_type(profiles.result.total_rows, int)
            assert_type(profiles.result.fetched_at, datetime)


def read(workspace: Workspace) -> None:
    """What a destination tells."""
    answer = workspace.sql("SELECT 1")
    assert_type(answer, QueryResult)
    for row in answer:
        assert_type(row, tuple[Any, ...])
    assert_type(answer.dicts(), list[dict[str, Any]])
    tables: list[TableInfo] = workspace.tables()
    assert_type([table.rows for table in tables], list[int])
    assert_type(workspace.inspect("users", top=3), TableSummary)
    runs: list[RunRecord] = workspace.runs()
    assert_type([run.info for run in runs], list[RunInfo])


def observe(workspace: Workspace, bar: object) -> None:
    """Callbacks and transforms."""

    def told(progress: ProfileBatchProgress) -> None:
        assert_type(progress.error, str | None)

    def none(batch: Batch) -> Batch | None:
        return batch if len(batch) else None

    workspace.fetch_profiles(on_batch_complete=told, transforms=["drop:$email", none])
    workspace.fetch_profiles(on_batch_complete=ProgressCallback(bar))
    workspace.fetch_profiles(on_batch_complete=print)
    workspace.fetch_profiles(transforms=[len])  # type: ignore[list-item]


def pages(error: IncompleteFetchError) -> tuple[int, ...]:
    """What an error carries."""
    return error.result.failed_page_indices


class Engine:
    """A sink need not inherit anything to be one."""

    def begin(self, table: str, mode: str, run: RunInfo) -> TableLoad:
        """Begin."""
        raise NotImplementedError

    def close(self) -> None:
        """Close."""


engine: StorageEngine = Engine()
