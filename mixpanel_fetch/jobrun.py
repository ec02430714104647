"""Running jobs: which are due, by what their destinations remember, and what becomes of each."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event
from typing import Any

from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.config import load_settings
from mixpanel_fetch.errors import (
    ConfigError,
    JobsBusyError,
    MixpanelFetchError,
)
from mixpanel_fetch.events import Listener
from mixpanel_fetch.joboutcome import JobOutcome, JobStatus, ended, failed
from mixpanel_fetch.jobs import Job, JobColumns
from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.plugins import PluginHost, one_line_of
from mixpanel_fetch.protocols import ColumnsEngine, ResumableEngine
from mixpanel_fetch.reader import recall, show
from mixpanel_fetch.resume import differing_parts
from mixpanel_fetch.secret import redact_uri
from mixpanel_fetch.services import request_of
from mixpanel_fetch.shared_files import SharedFiles
from mixpanel_fetch.typed_columns import NULL_TEXTS, ColumnsReport, keep_columns
from mixpanel_fetch.workspace import Workspace

log = logging.getLogger("mixpanel_fetch")
_MOST_SLACK = timedelta(minutes=5)
_DAY = timedelta(days=1)


@contextmanager
def only_run(path: Path) -> Iterator[None]:
    """While entered, no other process of this user runs the jobs of the file at ``path``.

    Raises JobsBusyError where one does. Where no lock can be had, says so and goes on.
    """
    files = SharedFiles()
    name = f"jobs-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock"
    try:
        descriptor = files.try_lock(name)
    except OSError as error:
        log.warning("nothing keeps two runs of %s apart: %s", path, error)
        yield
        return
    if descriptor is None:
        raise JobsBusyError(f"another run of {path} is under way; this one did nothing")
    try:
        yield
    finally:
        files.unlock(descriptor)


def refuse_clashes(jobs: Sequence[Job], path: Path) -> None:
    """Raise ConfigError where two jobs of the file at ``path`` land in one table."""
    seen: dict[tuple[str, str], str] = {}
    for job in jobs:
        given = {key: job.connection.get(key) for key in ("account", "destination")}
        try:
            place = (load_settings(**given).destination, job.table)
        except ConfigError:  # the job's own, told when it runs
            continue
        if place in seen:
            raise ConfigError(
                f"{path}: job {job.name}: table: job {seen[place]} lands in {job.table} of"
                f" {redact_uri(place[0])} already"
            )
        seen[place] = job.name


def standing_of(job: Job, now: datetime | None = None) -> JobOutcome:
    """Return whether ``job`` is due, ``now`` in UTC. Writes nothing, and asks Mixpanel for nothing.

    Raises ConfigError, StorageError where its destination cannot be asked.
    """
    with _workspace(job) as workspace:
        return _standing(job, workspace, now or datetime.now(timezone.utc))


def run_job(
    job: Job,
    *,
    force: bool = False,
    cancel: Event | None = None,
    on_event: Listener | None = None,
) -> JobOutcome:
    """Run ``job`` if it is due, or by ``force``. What goes wrong is in the outcome, not raised.

    An interrupted run of the same goes on, unless it is so old that its pages and new ones would
    make no whole. Meanwhile the thread is called ``job NAME``, so that records of its log say
    which job they are about.
    """
    try:
        with _called_as(job), _workspace(job) as workspace:
            for warning in workspace.warnings:
                log.warning("%s", warning)
            standing = _standing(job, workspace, datetime.now(timezone.utc))
            if standing.status == "not due" and not force:
                return standing
            wanted = {"query": _query(job), "mode": job.mode, "sync": job.sync, **job.fetch}
            result = workspace.fetch_profiles(
                job.table,
                progress=False,
                cancel=cancel,
                on_event=on_event,
                resume=_may_go_on(job, workspace, wanted),
                **wanted,
            )
            outcome = ended(standing, result)
            if job.columns is not None and result.published:
                return _with_columns(outcome, job, job.columns, str(workspace.destination))
            return outcome
    except Exception as error:  # noqa: BLE001  (the other jobs must run)
        return failed(job, error)


@contextmanager
def _called_as(job: Job) -> Iterator[None]:
    thread = threading.current_thread()
    before, thread.name = thread.name, f"job {job.name}"
    try:
        yield
    finally:
        thread.name = before


def _may_go_on(job: Job, workspace: Workspace, wanted: dict[str, Any]) -> bool:
    """Whether the job's table has an interrupted run that was about the same, and lately.

    One that lacks no page was kept from being published: it needs other pages, not more.
    """
    plan = _assembler(job).plan(request_of(job.table, **wanted), workspace.destination)
    if "resume" not in plan.sink.capabilities:
        return False
    record = recall(plan.sink, lambda engine: _interrupted(engine, job.table))
    if record is None or record.info.mode != plan.mode or not record.missing_pages:
        return False
    age = datetime.now(timezone.utc) - record.info.started_at
    return age < max(job.every or _DAY, _DAY) and not differing_parts(
        plan, workspace.client.settings, record.info
    )


def _interrupted(engine: ResumableEngine, table: str) -> RunRecord | None:
    info = engine.interrupted(table)
    if info is None:
        return None
    return next((one for one in engine.runs() if one.info.run_id == info.run_id), None)


def _with_columns(outcome: JobOutcome, job: Job, wish: JobColumns, destination: str) -> JobOutcome:
    """Bring the columns of the job's table up to date; drift is told in the outcome's words."""
    null_texts = NULL_TEXTS if wish.null_texts else ()

    def keep(engine: ColumnsEngine) -> ColumnsReport:
        return keep_columns(
            engine, job.table, wish.schema, on_drift=wish.on_drift, null_texts=null_texts
        )

    try:
        report = show(_assembler(job).sink(destination), keep)
    except MixpanelFetchError as error:
        return replace(
            outcome,
            status="incomplete",
            words=f"{outcome.words}; {one_line_of(error)}",
            exit_code=max(outcome.exit_code, error.exit_code),
            error=type(error).__name__,
        )
    if not report.drift:
        return outcome
    verb = "followed" if report.evolved else "did not follow"
    return replace(outcome, words=f"{outcome.words}; the columns {verb}: {report.drift}")


def _assembler(job: Job) -> Assembler:
    host = PluginHost(job.connection["plugins"]) if "plugins" in job.connection else None
    return Assembler(host, load_settings(job.connection.get("account")))


def _workspace(job: Job) -> Workspace:
    return Workspace(**job.connection)


def _query(job: Job) -> Any:
    if job.group is None:
        return job.query
    number = load_settings(job.connection.get("account")).group_id(job.group)
    return replace(job.query, data_group_id=number)


def _standing(job: Job, workspace: Workspace, now: datetime) -> JobOutcome:
    outcome = JobOutcome(job.name, job.table, "due")
    try:
        records = [one for one in workspace.runs() if one.info.table == job.table]
    except ConfigError as error:
        return replace(outcome, words=str(error))
    last = next((one for one in records if one.status == "complete"), None)
    if last is None:
        return replace(outcome, words=_first_time(records))
    outcome = replace(outcome, last_run=last.info.started_at)
    if job.every is None:
        return replace(outcome, words="it has no every, so it runs each time")
    due_at = last.info.started_at + job.every
    # A timer that fires a moment early must not cost a whole period.
    status: JobStatus = "due" if now >= due_at - min(job.every / 10, _MOST_SLACK) else "not due"
    return replace(outcome, status=status, due_at=due_at)


def _first_time(records: list[RunRecord]) -> str:
    if not records:
        return "it never ran"
    return f"no run of it is complete; the last one is {records[0].status}"
