"""How a run comes to its session: a new one by asking for page 0, or that of an interrupted run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, TypeVar
from uuid import uuid4

import gevent

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.errors import FetchInterruptedError
from mixpanel_fetch.model import Mode, Page, RunInfo, RunRecord
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.runthread import RunThread, timed_wait
from mixpanel_fetch.source import EngagePages
from mixpanel_fetch.sources import opened_source, reopened_source
from mixpanel_fetch.sync import SyncOrder
from mixpanel_fetch.tally import noted

T = TypeVar("T")

_GLANCE = 0.1  # seconds between two looks at the cancel event
_HOURLY_QUERIES = 60


@dataclass(frozen=True)
class Opened:
    """A session to fetch from; ``first`` is what opening it brought, already transformed."""

    run: RunInfo
    source: EngagePages
    first: list[tuple[Page, Batch]]
    warnings: tuple[str, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)


class Opener:
    """Opens the sessions of one run."""

    def __init__(
        self,
        settings: ClientSettings,
        plan: Plan,
        thread: RunThread,
        connection: EngageConnection,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._thread = thread
        self._connection = connection
        self._started_at = datetime.now(timezone.utc)

    def anew(self, mode: Mode, order: SyncOrder | None = None) -> Opened:
        """Ask for page 0, of what ``order`` wants where there is one.

        Raises what that raises, and FetchInterruptedError when cancelled.
        """
        source, page = self._first_page(order)
        # Before anything is stored: a typo in a transform must not cost a whole download.
        batch = self._thread.call(self._plan.transformed, page.batch)
        warnings = source.warnings
        if source.total_pages > _HOURLY_QUERIES:
            warnings += (_many_pages(source),)
        first = (page, noted(page, batch))
        return Opened(self._describe(source, mode, order), source, [first], warnings)

    def again(self, record: RunRecord) -> Opened:
        """Go on in the session of an interrupted run; asks for nothing yet."""
        plan = self._plan
        run = replace(record.info, destination=plan.sink.label, batch_size=plan.batch_size)
        source = reopened_source(self._connection, self._settings, plan, run)
        return Opened(run, source, [], notes=record.notes)

    def _first_page(self, order: SyncOrder | None) -> tuple[EngagePages, Page]:
        plan = self._plan
        query = plan.query if order is None else order.query(plan.query)
        opening = gevent.spawn(
            _as_value, opened_source, self._connection, self._settings, plan, query.dated()
        )
        try:
            while not opening.ready():
                with timed_wait():
                    opening.join(_GLANCE)
                if plan.is_cancelled:
                    raise FetchInterruptedError("interrupted before the first page was there")
        finally:
            opening.kill()
        outcome = opening.value
        assert outcome is not None
        if isinstance(outcome, BaseException):
            raise outcome
        source, first = outcome
        return source, first

    def _describe(self, source: EngagePages, mode: Mode, order: SyncOrder | None) -> RunInfo:
        plan, session = self._plan, source.session
        return RunInfo(
            run_id=uuid4().hex,
            table=plan.table,
            mode=mode,
            query=source.query,
            session_id=session.session_id,
            total=session.total,
            page_size=session.page_size,
            asked_page_size=session.asked_page_size,
            total_pages=session.total_pages,
            transforms=tuple(one.label for one in plan.transforms),
            fingerprint=plan.fingerprint(self._settings, session.page_size, order),
            started_at=self._started_at,
            destination=plan.sink.label,
            batch_size=plan.batch_size,
        )


def _many_pages(source: EngagePages) -> str:
    pages = f"{source.total_pages:,} pages: Mixpanel allows {_HOURLY_QUERIES} queries an hour and"
    if source.session.session_id is None:
        return f"{pages} project, and each of these pages is one"
    return (
        f"{pages} project; as far as is known only the first page counts, because the others carry"
        " its session_id"
    )


def _as_value(function: Callable[..., T], *args: Any, **kwargs: Any) -> T | Exception:
    """Call ``function``; an error is a value, because gevent prints what a greenlet raises."""
    try:
        return function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  (raised again where the value is taken)
        return error
