"""What a fetch would do, found out with its first request and nothing written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from mixpanel_fetch.client import EngageConnection, MixpanelAPIClient
from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.events import Event, Waiting
from mixpanel_fetch.instep import order_of
from mixpanel_fetch.model import Mode, RunRecord
from mixpanel_fetch.opening import Opened, Opener
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.resume import finished_run, run_to_resume
from mixpanel_fetch.runthread import RunThread
from mixpanel_fetch.sync import SyncKind
from mixpanel_fetch.transport import HubLease, Transport


@dataclass(frozen=True, kw_only=True)
class FetchPreview:
    """What a fetch would do.

    ``profiles`` and ``total_pages`` are what page 0 announced (``profiles`` None: not known before
    they come); ``page_size`` is the one in force, ``asked_page_size`` what is asked for (None:
    the server's own). ``landed_pages`` are held already by ``run_id``, the run that would go on.
    ``table_exists`` and ``table_rows`` are about the table as it is now, None where the sink cannot
    say.
    ``first_page_rows`` came with page 0, ``first_page_kept`` of them stay after the transforms.

    ``seconds`` is an estimate, None where nothing was measured: every round of ``workers`` pages
    takes the time that page 0 took, ``page_seconds``. ``download_bytes`` is one as well, by the
    size of page 0. ``inflight_bytes`` is what pages may come to that are asked for and have not
    landed.

    ``queries`` is how many of the queries that count against the project's hour the fetch makes;
    ``queries_left`` how many the hour still has, as far as this machine knows (None: it does not).
    ``plugins`` are what would carry it out, in order: strategy, transforms, sink. ``sync`` says
    whether a table that is kept in step would be fetched in full or incrementally.
    """

    table: str
    destination: str
    mode: Mode
    table_exists: bool | None
    table_rows: int | None
    profiles: int | None
    total_pages: int
    page_size: int
    asked_page_size: int | None
    workers: int
    seconds: float | None
    page_seconds: float | None
    download_bytes: int | None
    inflight_bytes: int
    queries: int
    queries_left: int | None
    first_page_rows: int | None
    first_page_kept: int | None
    plugins: tuple[str, ...]
    run_id: str | None = None
    landed_pages: int = 0
    sync: SyncKind | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able document of this preview."""
        return asdict(self)


def preview(client: MixpanelAPIClient, plan: Plan) -> FetchPreview:
    """Ask for page 0 as a fetch does, run its transforms on it, and store nothing.

    A resume asks for nothing: what it lacks is known. Raises what the start of the fetch would:
    TableExistsError, TableNotFoundError, ConfigError, PluginError, and what page 0 raises.
    """
    with (
        HubLease(),
        RunThread() as thread,
        client.settings.transport() as transport,
        _closed(thread, plan),
    ):
        return _Preview(client, plan, thread, _TimedConnection(client, transport)).take()


@contextmanager
def _closed(thread: RunThread, plan: Plan) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(MixpanelFetchError):  # nothing was written, so nothing is lost
            thread.call(plan.sink.call, plan.sink.engine.close)


class _TimedConnection(EngageConnection):
    """Knows how long the last page took, waits left out, and how many queries were counted.

    ``counted`` are those for pages, ``lists`` those for the list of cohorts.
    """

    def __init__(self, client: MixpanelAPIClient, transport: Transport) -> None:
        super().__init__(client.settings, client.gate, transport, self._wait)
        self.seconds: float | None = None
        self.counted = self.lists = 0
        self._waited = 0.0

    def fetch_page(self, *args: Any, **keywords: Any) -> Any:
        """Fetch as usual, and take the time of what opens a session."""
        if keywords.get("session_id"):
            return super().fetch_page(*args, **keywords)
        began, self._waited = time.monotonic(), 0.0
        page, size, attempts = super().fetch_page(*args, **keywords)
        self.seconds = (time.monotonic() - began - self._waited) / attempts
        self.counted += 1
        return page, size, attempts

    def fetch_cohorts(self) -> Any:
        """Fetch the list as usual, and count the query."""
        self.lists += 1
        return super().fetch_cohorts()

    def _wait(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._waited += event.seconds


class _Preview:
    """The way from a plan to its preview."""

    def __init__(
        self,
        client: MixpanelAPIClient,
        plan: Plan,
        thread: RunThread,
        connection: _TimedConnection,
    ) -> None:
        self._settings = client.settings
        self._plan = plan
        self._thread = thread
        self._connection = connection
        self._opener = Opener(client.settings, plan, thread, connection)
        self._warnings = list(plan.warnings)

    def take(self) -> FetchPreview:
        plan = self._plan
        record = self._to_go_on() if plan.resume else None
        mode = plan.mode if record is None else record.info.mode
        whole = record is not None and record.status == "complete"
        if not whole:
            partial = record is not None and record.status == "partial"
            self._sink(plan.sink.check, plan.table, "merge" if partial else mode)
        rows = self._optional("count")
        if record is None:
            self._look_for_interrupted()
            opened = self._opener.anew(mode, self._sink(order_of, plan, self._settings))
        else:
            opened = self._opener.again(record)
        self._warnings += opened.warnings
        return self._described(opened, mode, rows, record)

    def _to_go_on(self) -> RunRecord | None:
        """Return the run that would be resumed, or is complete already."""
        plan, settings = self._plan, self._settings
        record: RunRecord | None = self._sink(run_to_resume, plan, settings)
        if record is not None:
            return record
        record = self._sink(finished_run, plan, settings)
        if record is None:
            self._warnings.append(f"no run of {plan.table} was interrupted; it would be a new one")
        else:
            self._warnings.append(f"the run of {plan.table} is complete; nothing would be fetched")
        return record

    def _look_for_interrupted(self) -> None:
        info = self._optional("interrupted") if "resume" in self._plan.sink.capabilities else None
        if info is not None:
            self._warnings.append(
                f"the interrupted run of {self._plan.table} would be dropped; --resume goes on with"
                " it"
            )

    def _described(
        self, opened: Opened, mode: Mode, rows: int | None, record: RunRecord | None
    ) -> FetchPreview:
        plan, run, seconds = self._plan, opened.run, self._connection.seconds
        page, batch = opened.first[0] if opened.first else (None, None)
        if run.total == 0 and record is None:
            self._warnings.append(
                "no profile matches: check the region, the data view (MP_WORKSPACE_ID) and the"
                " filter"
            )
        pages = run.total_pages
        rounds = 1 + -(-(pages - 1) // plan.workers)
        each_counts = record is None and run.session_id is None and pages > 1
        return FetchPreview(
            table=run.table,
            destination=run.destination,
            mode=mode,
            table_exists=self._exists(mode, rows),
            table_rows=rows,
            profiles=run.total,
            total_pages=pages,
            page_size=run.page_size,
            asked_page_size=run.asked_page_size,
            workers=plan.workers,
            seconds=None if seconds is None else seconds * rounds,
            page_seconds=seconds,
            download_bytes=None if page is None else page.bytes_received * pages,
            inflight_bytes=plan.paging.max_inflight_bytes,
            queries=(pages if each_counts else self._connection.counted) + self._connection.lists,
            queries_left=self._connection.queries_left(),
            first_page_rows=None if page is None else page.rows_received,
            first_page_kept=None if batch is None else len(batch),
            plugins=plugins_of(plan),
            run_id=None if record is None else run.run_id,
            landed_pages=0 if record is None else len(record.landed_pages),
            sync=None if run.sync is None else run.sync.kind,
            warnings=tuple(dict.fromkeys(self._warnings)),
        )

    def _exists(self, mode: Mode, rows: int | None) -> bool | None:
        """Whether there is a table: create has been admitted only where there is none."""
        if mode == "create" or hasattr(self._plan.sink.engine, "count"):
            return rows is not None
        return True if mode == "append" else None

    def _optional(self, method: str) -> Any:
        """Return what the engine answers of the table, None where it has no such method."""
        found = getattr(self._plan.sink.engine, method, None)
        return None if found is None else self._sink(found, self._plan.table)

    def _sink(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._thread.call(self._plan.sink.call, function, *args)


def plugins_of(plan: Plan) -> tuple[str, ...]:
    """Return what carries ``plan`` out, in order, each with its distribution and version."""
    transforms = [
        f"transform {one.label}" + (f" ({one.registered.provider})" if one.registered else "")
        for one in plan.transforms
    ]
    sink = plan.sink.registered
    last = f"sink {plan.sink.label}" if sink is None else str(sink).removeprefix("the ")
    return plan.strategy_label.removeprefix("the "), *transforms, last
