"""Each job of a jobs file as a mapped task of its own, in the pool of its project."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException
from mixpanel_jobs import NeedsPersonError, jobs_by_project, run

JOBS = Path(os.environ.get("MIXPANEL_JOBS", "/etc/mixpanel-fetch/jobs.toml"))


@task(
    retries=3,
    retry_delay=timedelta(minutes=10),
    execution_timeout=timedelta(hours=6),
    map_index_template="{{ task.op_kwargs['name'] }}",
)
def fetch(name: str) -> dict[str, Any]:
    """Run the job ``name``."""
    try:
        return run(JOBS, name)
    except NeedsPersonError as error:
        # Of this one, Airflow makes no other try.
        raise AirflowFailException(str(error)) from error


@dag(
    schedule="15 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
)
def mixpanel_profiles() -> None:
    """Fetch every job of the file; those of one project take turns."""
    for project, names in jobs_by_project(JOBS).items():
        tasks = fetch.override(task_id=f"project_{project}", pool=f"mixpanel_{project}")
        tasks.expand(name=names)


mixpanel_profiles()
