"""The keywords of a fetch, for type checkers and editors; stated once for what hands them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

    from mixpanel_fetch.events import Listener
    from mixpanel_fetch.filters import Filter
    from mixpanel_fetch.model import Mode, ProfileBatchProgress
    from mixpanel_fetch.paging import PageSize
    from mixpanel_fetch.protocols import Transform
    from mixpanel_fetch.query import ProfileQuery
    from mixpanel_fetch.sync import SyncWish


class LandingKeywords(TypedDict, total=False):
    """Those that say how rows land, whatever they are."""

    append: bool
    batch_size: int
    max_workers: int | None
    on_batch_complete: Callable[[ProfileBatchProgress], None] | None
    mode: Mode | None
    strategy: str | None
    transforms: Sequence[str | Transform]
    options: Mapping[str, str] | None
    page_size: PageSize | None
    page_bytes: int
    max_inflight_bytes: int
    allow_partial: bool
    allow_empty: bool
    allow_missing: int
    strict: bool
    resume: bool
    sync: SyncWish | None
    cancel: Event | None
    on_event: Listener | None


class FetchKeywords(LandingKeywords, total=False):
    """Those of ``FetcherService.fetch_profiles``, which tells what each means, but ``parallel``."""

    where: str | Filter | None
    cohort_id: str | None
    output_properties: list[str] | None
    query: ProfileQuery | None


class WorkspaceLandingKeywords(LandingKeywords, total=False):
    """Those of ``Workspace.fetch_cohorts`` and its like, but ``parallel``."""

    progress: bool


class WorkspaceFetchKeywords(FetchKeywords, total=False):
    """Those of ``Workspace.fetch_profiles``, but ``parallel``."""

    progress: bool
