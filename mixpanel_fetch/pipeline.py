"""The one way of a page: client, strategy, transforms, sink, result. Nothing else knows the order.

Three parts work at once: the feed asks for pages (:mod:`mixpanel_fetch.feed`), the run's thread
lands them (:mod:`mixpanel_fetch.runthread`), and the caller takes in what became of each, reports
it, and looks every tenth of a second whether to stop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from mixpanel_fetch.client import EngageConnection, MixpanelAPIClient
from mixpanel_fetch.errors import FetchInterruptedError, MixpanelFetchError, SessionExpiredError
from mixpanel_fetch.feed import Feed
from mixpanel_fetch.instep import order_of
from mixpanel_fetch.model import LoadReport, RunInfo, RunRecord
from mixpanel_fetch.opening import Opened, Opener
from mixpanel_fetch.plan import Plan
from mixpanel_fetch.protocols import TableLoad
from mixpanel_fetch.publishing import Publication, interrupt
from mixpanel_fetch.reporting import Reporter
from mixpanel_fetch.result import RunResult
from mixpanel_fetch.resume import finished_run, mode_over, run_to_resume
from mixpanel_fetch.runthread import RunThread
from mixpanel_fetch.tally import Tally, may_come
from mixpanel_fetch.transport import HubLease

log = logging.getLogger("mixpanel_fetch")
R = TypeVar("R", bound=RunResult)
T = TypeVar("T")

_SESSIONS = 3  # how many may be tried in one run


def run_plan(client: MixpanelAPIClient, plan: Plan, result_type: type[R]) -> R:
    """Carry out ``plan`` and return its result.

    Raises what page 0, the sink or the strategy raises; FetchInterruptedError when told to stop
    before page 0 was there. Any later page's failure is in the result. Blocks the calling thread;
    works in any thread, and beside a hub that the thread already has.
    """
    reporter = Reporter(plan)
    gate = plan.gate(client.settings, client.gate)
    with HubLease(), RunThread() as thread, client.connect(reporter.announce, gate) as connection:
        try:
            result = _Run(client, plan, thread, connection, reporter).execute(result_type)
        except BaseException:
            try:
                thread.call(plan.sink.call, plan.sink.engine.close)
            except MixpanelFetchError as error:  # the run has its reason already
                log.warning("%s (while closing it)", error)
            raise
        thread.call(plan.sink.call, plan.sink.engine.close)
        return result


class _SessionGone(Exception):  # noqa: N818 - it says what comes next, and is no error
    """The session expired, what it brought is dropped, and another one may be tried."""


class _Run:
    """One run's state: what is known of it, and how far it has come."""

    def __init__(
        self,
        client: MixpanelAPIClient,
        plan: Plan,
        thread: RunThread,
        connection: EngageConnection,
        reporter: Reporter,
    ) -> None:
        self._settings = client.settings
        self._plan = plan
        self._thread = thread
        self._opener = Opener(client.settings, plan, thread, connection)
        self._reporter = reporter
        self._warn = reporter.warn

    def execute(self, result_type: type[R]) -> R:
        record = self._to_resume() if self._plan.resume else None
        mode = self._plan.mode if record is None else record.info.mode
        if record is None and self._plan.resume:
            finished = self._sink(finished_run, self._plan, self._settings)
            if finished is not None:
                return self._finished_before(result_type, finished)
            self._warn(f"no run of {self._plan.table} was interrupted; this is a new one")
        partial = record is not None and record.status == "partial"
        self._sink(self._plan.sink.check, self._plan.table, "merge" if partial else mode)
        order = record.info.sync if record else self._sink(order_of, self._plan, self._settings)
        self._reporter.restart_clock()
        # Rows that a stream has handed on cannot be taken back, so another session may not follow.
        sessions = 1 if "stream" in self._plan.sink.capabilities else _SESSIONS
        for sessions_left in reversed(range(sessions)):
            opened = (
                self._opener.anew(mode, order) if record is None else self._opener.again(record)
            )
            for warning in opened.warnings:
                self._warn(warning)
            try:
                return self._fetch(result_type, opened, last=sessions_left == 0)
            except _SessionGone as gone:
                self._warn(f"{gone}; its pages cannot be mixed with another's, so: starting over")
                mode = mode if record is None else mode_over(record)
                record = None
        raise AssertionError("the last session ends in a result")

    def _fetch(self, result_type: type[R], opened: Opened, *, last: bool) -> R:
        run, tally = opened.run, Tally(opened.run.total_pages)
        if self._would_empty(run):
            return self._finish(result_type, run, tally, None, published=False)
        load, feed = self._begin(opened, tally)
        publication = Publication(self._plan, self._thread, load, run)
        report = None
        try:
            interrupted = self._land(load, feed, opened, tally)
            for remark in opened.source.remarks():
                self._warn(remark)
            stopped_by = tally.stopped_by
            if isinstance(stopped_by, SessionExpiredError) and not (last or interrupted):
                publication.drop()
                raise _SessionGone(str(stopped_by))
            if stopped_by is not None:
                self._warn(f"stopped: {stopped_by}")
            if not interrupted and self._may_publish(publication, run, tally):
                self._reporter.publishing(run)
                report = publication.publish(tally)
                interrupted = report is None
        except _SessionGone:
            raise
        except BaseException:
            self._set_aside(publication, tally)
            raise
        if report is None:
            self._set_aside(publication, tally)
        return self._finish(
            result_type, run, tally, report, published=report is not None, interrupted=interrupted
        )

    def _begin(self, opened: Opened, tally: Tally) -> tuple[TableLoad, Feed]:
        """Open the table and begin to ask for what it lacks."""
        run, session = opened.run, opened.source.session
        begin = self._plan.sink.engine.begin
        if opened.first:
            self._reporter.opened(run, 0)
            # Nothing has landed, so the other pages can be on their way while the sink makes ready.
            feed = Feed(self._plan, self._thread, opened.source, range(1, run.total_pages))
            feed.start()
            try:
                return self._sink(begin, run.table, run.mode, run), feed
            except BaseException:
                feed.stop()
                raise
        load: TableLoad = self._sink(begin, run.table, run.mode, run)
        tally.landed |= self._sink(load.landed_pages)
        tally.rows_before = sum(map(session.rows_due, tally.landed))
        tally.remember(opened.notes)
        self._reporter.opened(run, len(tally.landed))
        feed = Feed(self._plan, self._thread, opened.source, tally.missing)
        feed.start()
        return load, feed

    # Before the first page lands

    def _to_resume(self) -> RunRecord | None:
        record: RunRecord | None = self._sink(run_to_resume, self._plan, self._settings)
        return record

    def _finished_before(self, result_type: type[R], record: RunRecord) -> R:
        """Return the result of a run that is complete already: there is nothing to resume."""
        run = record.info
        tally = Tally(run.total_pages, landed=set(record.landed_pages), rows_before=run.total or 0)
        tally.remember(record.notes)
        self._warn(f"the run of {run.table} is complete; nothing was fetched")
        report = LoadReport(total_rows=record.total_rows)
        return self._finish(result_type, run, tally, report, published=True)

    def _would_empty(self, run: RunInfo) -> bool:
        """Whether an empty answer is about to take the place of rows that are there."""
        plan = self._plan
        if run.total != 0 or plan.tolerance.empty:
            return False
        if run.mode != "replace":
            if run.query.document().keys() <= {"output_properties"}:
                self._warn(
                    "no profile came at all: check the region, and the data view (MP_WORKSPACE_ID)"
                    " where the project has some"
                )
            return False
        count = getattr(plan.sink.engine, "count", None)
        if count is not None and not self._sink(count, plan.table):
            return False
        self._warn(
            f"no profile matches, so {run.table} was left as it was; check the region, the data"
            " view (MP_WORKSPACE_ID) and the filter, or pass --allow-empty to empty it"
        )
        return True

    # While pages land

    def _land(self, load: TableLoad, feed: Feed, opened: Opened, tally: Tally) -> bool:
        """Land every page that comes; return whether the run was told to stop."""
        feed.land(load, opened.first)
        opened.first.clear()  # or those rows would stay for the whole run
        interrupted = self._take_all(feed, opened.run, tally, last=False)
        again = [] if interrupted else tally.take_up_again()
        if not again:
            return interrupted
        log.info("asking once more for what failed: pages %s", ", ".join(map(str, again)))
        feed = Feed(self._plan, self._thread, opened.source, again)
        feed.start()
        feed.land(load)
        return self._take_all(feed, opened.run, tally, last=True)

    def _take_all(self, feed: Feed, run: RunInfo, tally: Tally, *, last: bool) -> bool:
        """Take in what became of each page; return whether the run was told to stop.

        Unless it is the ``last`` time, failures that are tried again are not reported yet.
        """
        try:
            for settled in feed.settled(self._stop_if_cancelled):
                tally.add(settled)
                if last or not may_come(settled):
                    self._reporter.page(settled, run)
                if tally.stopped_by is not None:
                    break
        except FetchInterruptedError:
            interrupt(self._plan)
            return True
        finally:
            for settled in feed.stop():
                tally.add(settled)
        return False

    # After the last page

    def _may_publish(self, publication: Publication, run: RunInfo, tally: Tally) -> bool:
        if tally.stopped_by is not None:
            return False
        objection = publication.objection(tally)
        if objection is not None:
            self._warn(f"{run.table} was left as it was: {objection}")
        return objection is None

    def _set_aside(self, publication: Publication, tally: Tally) -> None:
        """Keep what landed, if anything did."""
        try:
            if tally.landed:
                publication.keep()
            else:
                publication.drop()
        except MixpanelFetchError as error:
            self._warn(f"{error} (while setting the run aside)")

    def _finish(
        self,
        result_type: type[R],
        run: RunInfo,
        tally: Tally,
        report: LoadReport | None,
        *,
        published: bool,
        interrupted: bool = False,
    ) -> R:
        duration = self._reporter.seconds
        if report is not None and report.duplicate_rows:
            self._warn(
                f"{report.duplicate_rows:,} rows of {run.table} came twice, so as many others may"
                " not have been sent at all"
            )
        result = result_type(
            **tally.figures(run, report, duration),
            published=published,
            interrupted=interrupted,
            resumable=self._is_resumable(tally, published=published),
            strict=self._plan.tolerance.strict,
            allowed_missing=self._plan.tolerance.missing,
            warnings=tuple(self._reporter.warnings),
        )
        self._reporter.ended(result, run)
        return result

    def _is_resumable(self, tally: Tally, *, published: bool) -> bool:
        whole = published and not tally.missing
        return bool(tally.landed) and not whole and "resume" in self._plan.sink.capabilities

    # Small things

    def _sink(self, function: Callable[..., T], *args: Any) -> T:
        result: T = self._thread.call(self._plan.sink.call, function, *args)
        return result

    def _stop_if_cancelled(self) -> None:
        if self._plan.is_cancelled:
            raise FetchInterruptedError("interrupted")
