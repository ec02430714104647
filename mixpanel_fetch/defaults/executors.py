"""The executors ``threads`` and ``processes``, for jobs that run at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from mixpanel_fetch.hookspecs import ExecutorSpec, hookimpl


def threads(max_workers: int) -> Executor:
    """Return an executor whose jobs share this process."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers, thread_name_prefix="job")


def processes(max_workers: int) -> Executor:
    """Return an executor whose jobs have a process each."""
    from mixpanel_fetch.defaults.processes import Processes

    return Processes(max_workers)


@hookimpl
def register_executors() -> Iterable[ExecutorSpec]:
    """Return the executors ``threads`` and ``processes``."""
    return [
        ExecutorSpec("threads", threads, None, "jobs share this process and one core"),
        ExecutorSpec("processes", processes, None, "each job in a process of this machine"),
    ]
