"""What the tasks of airflow_dag.py do; it needs no Airflow itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixpanel_fetch import fetch_many, read_jobs


class JobError(Exception):
    """A job that did not come to its end; trying again later goes on with it."""


class NeedsPersonError(JobError):
    """A job that no trying again mends: credentials, a plan, an argument."""


def jobs_by_project(path: Path) -> dict[str, list[str]]:
    """Return the names of the jobs in a jobs file, by the project that they ask.

    A project goes by its number where the file has it, else by the name of the account.
    """
    found: dict[str, list[str]] = {}
    for job in read_jobs(path):
        names = (job.connection.get(key) for key in ("project_id", "account"))
        project = next(filter(None, names), "default")
        found.setdefault(str(project), []).append(job.name)
    return found


def run(path: Path, name: str) -> dict[str, Any]:
    """Run one job of a jobs file and return what became of it.

    What an earlier try has landed is not asked for again. Raises NeedsPersonError,
    JobError.
    """
    (outcome,) = fetch_many(job for job in read_jobs(path) if job.name == name)
    if outcome.exit_code in (2, 3):
        raise NeedsPersonError(f"{name}: {outcome.words}")
    if outcome.exit_code:
        raise JobError(f"{name}: {outcome.words}")
    return outcome.to_dict()
