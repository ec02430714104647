"""The contract's faces of the pipeline: FetcherService and ParallelProfileFetcherService."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.events import Listener
from mixpanel_fetch.filters import Filter
from mixpanel_fetch.model import Mode, ProfileBatchProgress, ProfileQuery
from mixpanel_fetch.paging import PageSize, Paging
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.preview import FetchPreview, preview
from mixpanel_fetch.protocols import StorageEngine, Transform
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
from mixpanel_fetch.sizes import MIB
from mixpanel_fetch.sync import SyncWish
from mixpanel_fetch.tolerance import Tolerance

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mixpanel_fetch.keywords import FetchKeywords


def mode_of(append: bool, mode: Mode | None) -> Mode:
    """Return the mode that ``append`` and ``mode`` mean together. Raises ConfigError."""
    if append and mode not in {None, "append"}:
        raise ConfigError(f"append and mode={mode!r} contradict each other")
    return mode or ("append" if append else "create")


def request_of(
    name: str,
    *,
    where: str | Filter | None = None,
    cohort_id: str | None = None,
    output_properties: list[str] | None = None,
    query: ProfileQuery | None = None,
    append: bool = False,
    mode: Mode | None = None,
    options: Mapping[str, str] | None = None,
    page_size: PageSize | None = None,
    page_bytes: int = 8 * MIB,
    max_inflight_bytes: int = 64 * MIB,
    allow_partial: bool = False,
    allow_empty: bool = False,
    allow_missing: int = 0,
    strict: bool = False,
    sync: SyncWish | None = None,
    **others: Any,
) -> FetchRequest:
    """Return the request that the keywords of a fetch stand for. Raises ConfigError.

    ``others`` are those that a FetchRequest takes as they are.
    """
    if sync is not None and mode is None and not append:
        mode = "merge"
    return FetchRequest(
        table=name,
        query=query_of(query, where, cohort_id, output_properties),
        mode=mode_of(append, mode),
        sync=sync,
        options=options or {},
        paging=Paging(page_size, page_bytes, max_inflight_bytes),
        tolerance=Tolerance(allow_partial, allow_empty, allow_missing, strict),
        **others,
    )


def query_of(
    query: ProfileQuery | None = None,
    where: str | Filter | None = None,
    cohort_id: str | None = None,
    output_properties: list[str] | None = None,
) -> ProfileQuery:
    """Return the query that the keywords of a fetch stand for. Raises ConfigError."""
    if query is None:
        properties = None if output_properties is None else tuple(output_properties)
        return ProfileQuery(None if where is None else str(where), cohort_id, properties)
    if (where, cohort_id, output_properties) != (None, None, None):
        raise ConfigError("query holds where, cohort_id and output_properties; give it alone")
    return query


class FetcherService:
    """Fetches profiles into ``storage``: a StorageEngine, or a destination URI.

    ``assembler`` says which plugins there are; by default, those installed.
    """

    def __init__(
        self,
        api_client: MixpanelAPIClient,
        storage: StorageEngine | str,
        *,
        assembler: Assembler | None = None,
    ) -> None:
        self._client = api_client
        self._storage = storage
        self._assembler = assembler

    def fetch_profiles(
        self,
        name: str,
        *,
        where: str | Filter | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
        query: ProfileQuery | None = None,
        append: bool = False,
        batch_size: int = 1000,
        parallel: bool = False,
        max_workers: int | None = None,
        on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None,
        mode: Mode | None = None,
        strategy: str | None = None,
        transforms: Sequence[str | Transform] = (),
        options: Mapping[str, str] | None = None,
        page_size: PageSize | None = None,
        page_bytes: int = 8 * MIB,
        max_inflight_bytes: int = 64 * MIB,
        allow_partial: bool = False,
        allow_empty: bool = False,
        allow_missing: int = 0,
        strict: bool = False,
        resume: bool = False,
        sync: SyncWish | None = None,
        cancel: Event | None = None,
        on_event: Listener | None = None,
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch every matching profile into table ``name``.

        ``where``, ``cohort_id`` and ``output_properties`` are the query, or ``query`` is all that
        can be asked for; ``sync`` keeps the table in step, by merging; ``mode`` is ``create``
        (default), ``append`` (as ``append=True``), ``replace`` or ``merge``; ``max_workers`` is
        capped at five by the strategy; ``on_batch_complete`` is called in this thread for each
        page that landed or failed; ``transforms`` are
        names (``"drop:$email"``) or callables, in order; ``options`` go to the plugins of the run
        that know them; ``page_size``, ``page_bytes`` and ``max_inflight_bytes`` are those of
        :class:`~mixpanel_fetch.paging.Paging`; ``allow_partial``, ``allow_empty``,
        ``allow_missing`` (rows) and ``strict`` those of
        :class:`~mixpanel_fetch.tolerance.Tolerance`; ``resume`` goes on with the interrupted run
        of the table, asking only for what is missing; setting ``cancel`` ends the fetch within a
        second; ``on_event`` is told of all that happens (:mod:`mixpanel_fetch.events`), in this
        thread or in that of a strategy's worker, and disturbs nothing by raising.

        Returns FetchResult, or ParallelProfileFetchResult with ``parallel=True``. Raises
        TableExistsError, TableNotFoundError, ConfigError, PluginError, and what page 0 raises.
        """
        given = locals().copy()  # the keywords, as they are
        del given["self"]
        request = request_of(**given)
        plan = self._plan(request)
        if request.parallel:
            return run_plan(self._client, plan, ParallelProfileFetchResult)
        return run_plan(self._client, plan, FetchResult)

    def preview_profiles(
        self, name: str, *, parallel: bool = False, **keywords: Unpack[FetchKeywords]
    ) -> FetchPreview:
        """Return what :meth:`fetch_profiles` would do, with the same arguments; writes nothing.

        Costs the fetch's first request, and the second one of ``page_size="auto"``. No callback
        is called. Raises what the start of the fetch would raise.
        """
        request = request_of(name, parallel=parallel, **keywords)
        return preview(self._client, self._plan(request))

    def _plan(self, request: FetchRequest) -> Plan:
        return (self._assembler or Assembler()).plan(request, self._storage)


class ParallelProfileFetcherService:
    """Fetches profiles several pages at a time (the contract's service of that name)."""

    def __init__(self, api_client: MixpanelAPIClient, storage: StorageEngine) -> None:
        self._service = FetcherService(api_client, storage)

    def fetch_profiles(
        self,
        name: str,
        *,
        where: str | Filter | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
        query: ProfileQuery | None = None,
        max_workers: int | None = None,
        on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None,
        append: bool = False,
        batch_size: int = 1000,
        mode: Mode | None = None,
        strategy: str | None = None,
        transforms: Sequence[str | Transform] = (),
        options: Mapping[str, str] | None = None,
        page_size: PageSize | None = None,
        page_bytes: int = 8 * MIB,
        max_inflight_bytes: int = 64 * MIB,
        allow_partial: bool = False,
        allow_empty: bool = False,
        allow_missing: int = 0,
        strict: bool = False,
        resume: bool = False,
        sync: SyncWish | None = None,
        cancel: Event | None = None,
        on_event: Listener | None = None,
    ) -> ParallelProfileFetchResult:
        """Fetch as :meth:`FetcherService.fetch_profiles` does with ``parallel=True``."""
        given = locals().copy()  # the contract's keywords, handed on as they are
        del given["self"]
        result = self._service.fetch_profiles(**given, parallel=True)
        assert isinstance(result, ParallelProfileFetchResult)
        return result
