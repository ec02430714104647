"""Workspace: credentials, destination and services in one object, for programs that embed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, overload

from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.config import load_settings
from mixpanel_fetch.events import Listener
from mixpanel_fetch.filters import Filter
from mixpanel_fetch.model import Mode, ProfileBatchProgress
from mixpanel_fetch.paging import PageSize
from mixpanel_fetch.plugins import PluginHost, default_host
from mixpanel_fetch.progress import bar_is_seen, progress_bar
from mixpanel_fetch.protocols import StorageEngine, Transform
from mixpanel_fetch.query import ProfileQuery
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.services import FetcherService, request_of
from mixpanel_fetch.sizes import MIB
from mixpanel_fetch.stored import StoredTables
from mixpanel_fetch.streaming import ProfileStream
from mixpanel_fetch.subjects import OtherSubjects
from mixpanel_fetch.sync import SyncWish

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mixpanel_fetch.keywords import FetchKeywords, WorkspaceFetchKeywords
    from mixpanel_fetch.preview import FetchPreview


class Workspace(OtherSubjects, StoredTables):
    """One project and one destination. A context manager; safe to use from any thread.

    Every call blocks its thread, and works in whichever that is: a notebook's, a worker's of
    Airflow or Celery (processes that were forked too), one of a host patched by gevent. An asyncio
    program hands calls to threads, several at once, and ends a fetch through its ``cancel``::

        cancel = threading.Event()
        fetch = asyncio.to_thread(workspace.fetch_profiles, parallel=True, cancel=cancel)

        with workspace.stream_profiles() as stream:
            batches = stream.batches()
            while batch := await asyncio.to_thread(next, batches, None):
                ...

    ``account`` names an ``[accounts.NAME]`` table of the configuration file. What is not given
    comes from the environment (``MP_USERNAME``, ``MP_SECRET``, ``MP_PROJECT_ID``, ``MP_REGION``,
    ...), then from the file. ``destination`` is a URI such as ``duckdb:///profiles.duckdb``, or a
    StorageEngine. ``plugins`` are files to load besides what is installed. ``client`` are
    keywords of :class:`~mixpanel_fetch.client.MixpanelAPIClient`: timeouts, ``max_wait``, ....

    Raises ConfigError when credentials are missing or cannot work.
    """

    def __init__(
        self,
        account: str | None = None,
        *,
        username: str | None = None,
        secret: str | Secret | None = None,
        project_id: str | int | None = None,
        region: str | None = None,
        workspace_id: str | int | None = None,
        api_secret: str | Secret | None = None,
        api_base_url: str | None = None,
        destination: str | StorageEngine | None = None,
        plugins: Iterable[str | Path] = (),
        **client: Any,
    ) -> None:
        uri = destination if isinstance(destination, str) else None
        settings = load_settings(
            account,
            username=username,
            secret=secret,
            project_id=project_id,
            region=region,
            workspace_id=workspace_id,
            api_secret=api_secret,
            api_base_url=api_base_url,
            destination=uri,
        )
        self._settings = settings
        self.warnings = settings.warnings
        self.destination: str | StorageEngine = (
            settings.destination if destination is None or uri is not None else destination
        )
        self.client = MixpanelAPIClient(
            settings.credentials(), base_url=settings.api_base_url, **client
        )
        files = tuple(plugins)
        self._assembler = Assembler(PluginHost(files) if files else default_host(), settings)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything. Connections are held only while a fetch runs."""

    @overload
    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        parallel: Literal[True],
        **keywords: Unpack[WorkspaceFetchKeywords],
    ) -> ParallelProfileFetchResult: ...

    @overload
    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        parallel: Literal[False] = False,
        **keywords: Unpack[WorkspaceFetchKeywords],
    ) -> FetchResult: ...

    @overload
    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        parallel: bool,
        **keywords: Unpack[WorkspaceFetchKeywords],
    ) -> FetchResult | ParallelProfileFetchResult: ...

    def fetch_profiles(
        self,
        name: str = "profiles",
        *,
        where: str | Filter | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
        query: ProfileQuery | None = None,
        append: bool = False,
        batch_size: int = 1000,
        mode: Mode | None = None,
        progress: bool = True,
        parallel: bool = False,
        max_workers: int | None = None,
        on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None,
        cancel: Event | None = None,
        on_event: Listener | None = None,
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
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch every matching profile into table ``name``; blocks until that is done.

        ``query`` says all that can be asked for (:class:`~mixpanel_fetch.query.ProfileQuery`), in
        place of the three keywords before it; ``sync`` (:class:`~mixpanel_fetch.sync.SyncWish`)
        keeps the table in step with the project. ``transforms`` are names (``"drop:$email"``) or
        callables, in order; ``options`` go to the
        plugins of the run that know them; setting ``cancel`` from another thread ends the fetch
        within a second. A bar shows on stderr when ``progress`` is true, stderr is a terminal,
        and no ``on_batch_complete`` is given. In an asyncio program: ``await
        asyncio.to_thread(workspace.fetch_profiles, ...)``.

        Returns and raises as :meth:`~mixpanel_fetch.services.FetcherService.fetch_profiles`.
        """
        given = locals().copy()  # the keywords of the service, handed on as they are
        for own in ("self", "progress", "on_batch_complete"):
            del given[own]
        service = self._service()
        if on_batch_complete is not None or not (progress and bar_is_seen()):
            return service.fetch_profiles(on_batch_complete=on_batch_complete, **given)
        with progress_bar(on_event) as listener:
            return service.fetch_profiles(**given | {"on_event": listener})

    def preview_profiles(
        self,
        name: str = "profiles",
        *,
        parallel: bool = False,
        **keywords: Unpack[FetchKeywords],
    ) -> FetchPreview:
        """Return what :meth:`fetch_profiles` would do with the same arguments; writes nothing.

        Costs and raises as :meth:`~mixpanel_fetch.services.FetcherService.preview_profiles`.
        """
        return self._service().preview_profiles(name, parallel=parallel, **keywords)

    def stream_profiles(
        self,
        *,
        where: str | Filter | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
        query: ProfileQuery | None = None,
        parallel: bool = True,
        max_workers: int | None = None,
        on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None,
        cancel: Event | None = None,
        on_event: Listener | None = None,
        strategy: str | None = None,
        transforms: Sequence[str | Transform] = (),
        options: Mapping[str, str] | None = None,
        page_size: PageSize | None = None,
        page_bytes: int = 8 * MIB,
        max_inflight_bytes: int = 64 * MIB,
        allow_partial: bool = False,
        allow_missing: int = 0,
    ) -> ProfileStream:
        """Return every matching profile as it arrives, without storing any.

        Best in a ``with``, so that leaving it early ends the fetch::

            with workspace.stream_profiles(where='properties["plan"] == "pro"') as profiles:
                for profile in profiles:
                    print(profile["distinct_id"], profile["properties"])

        The destination plays no part. The keywords are those of :meth:`fetch_profiles`. A stream
        that lacks pages, or more than ``allow_missing`` rows, ends in IncompleteFetchError, whose
        ``result`` names them; with ``allow_partial`` it just ends. Raises ConfigError and
        PluginError at once, everything else where rows are taken.
        """
        given = locals().copy()  # the keywords, as they are
        del given["self"]
        request = request_of("stream", **given)
        return ProfileStream(self.client, self._assembler, request)

    def _service(self) -> FetcherService:
        return FetcherService(self.client, self.destination, assembler=self._assembler)
