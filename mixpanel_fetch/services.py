"""The contract's faces of the pipeline: FetcherService and ParallelProfileFetcherService."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.events import Listener
from mixpanel_fetch.model import Mode, ProfileBatchProgress, ProfileQuery
from mixpanel_fetch.paging import PageSize, Paging
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.protocols import StorageEngine, Transform
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
from mixpanel_fetch.sizes import MIB
from mixpanel_fetch.tolerance import Tolerance


def mode_of(append: bool, mode: Mode | None) -> Mode:
    """Return the mode that ``append`` and ``mode`` mean together. Raises ConfigError."""
    if append and mode not in {None, "append"}:
        raise ConfigError(f"append and mode={mode!r} contradict each other")
    return mode or ("append" if append else "create")


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
        where: str | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
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
        cancel: Event | None = None,
        on_event: Listener | None = None,
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch every matching profile into table ``name``.

        ``where``, ``cohort_id`` and ``output_properties`` are the query; ``mode`` is ``create``
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
        properties = None if output_properties is None else tuple(output_properties)
        request = FetchRequest(
            table=name,
            query=ProfileQuery(where, cohort_id, properties),
            mode=mode_of(append, mode),
            parallel=parallel,
            max_workers=max_workers,
            strategy=strategy,
            transforms=transforms,
            options=options or {},
            paging=Paging(page_size, page_bytes, max_inflight_bytes),
            batch_size=batch_size,
            tolerance=Tolerance(allow_partial, allow_empty, allow_missing, strict),
            resume=resume,
            on_batch_complete=on_batch_complete,
            on_event=on_event,
            cancel=cancel,
        )
        plan = (self._assembler or Assembler()).plan(request, self._storage)
        if request.parallel:
            return run_plan(self._client, plan, ParallelProfileFetchResult)
        return run_plan(self._client, plan, FetchResult)


class ParallelProfileFetcherService:
    """Fetches profiles several pages at a time (the contract's service of that name)."""

    def __init__(self, api_client: MixpanelAPIClient, storage: StorageEngine) -> None:
        self._service = FetcherService(api_client, storage)

    def fetch_profiles(
        self,
        name: str,
        *,
        where: str | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
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
        cancel: Event | None = None,
        on_event: Listener | None = None,
    ) -> ParallelProfileFetchResult:
        """Fetch as :meth:`FetcherService.fetch_profiles` does with ``parallel=True``."""
        given = locals().copy()  # the contract's keywords, handed on as they are
        del given["self"]
        result = self._service.fetch_profiles(**given, parallel=True)
        assert isinstance(result, ParallelProfileFetchResult)
        return result
