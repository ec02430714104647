"""Jobs on the workers of a cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mixpanel_fetch_dask import open_executor

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.jobs import Job
from mixpanel_fetch.many import fetch_many
from mixpanel_fetch.simulator import EngageSimulator


class Projects:
    """Projects with a simulator each, and the configuration file of those who fetch them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.simulators: list[EngageSimulator] = []
        self.folder = folder
        self.file = folder / "accounts.toml"
        self.file.touch(mode=0o600)
        self._stack = stack

    def add(self, *, secret: str | None = None, **switches: Any) -> Job:
        """Return the job to fetch one more project; ``secret`` is a wrong one."""
        number = len(self.simulators)
        made = EngageSimulator(project_id=1000 + number, **switches)
        simulator = self._stack.enter_context(made)
        self.simulators.append(simulator)
        with self.file.open("a") as file:
            file.write(
                f'[accounts.p{number}]\nusername = "{simulator.config.username}"\n'
                f'secret = "{secret or simulator.config.secret}"\n'
                f'project_id = "{1000 + number}"\napi_base_url = "{simulator.base_url}"\n'
            )
        place = {"account": f"p{number}", "destination": f"duckdb:///{self.path(number)}"}
        return Job(f"p{number}", "profiles", connection=place, fetch={"page_size": 10})

    def path(self, number: int) -> Path:
        return self.folder / f"p{number}.duckdb"

    def rows(self, number: int) -> int:
        with duckdb.connect(str(self.path(number)), read_only=True) as connection:
            found = connection.execute("SELECT count(*) FROM profiles").fetchone()
        return 0 if found is None else int(found[0])


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[Projects]:
    with ExitStack() as stack:
        yield Projects(tmp_path, stack)


@contextmanager
def executor_on(cluster: Any, jobs: int = 4) -> Iterator[Any]:
    executor = open_executor(max_workers=jobs, scheduler=cluster.address)
    try:
        yield executor
    finally:
        executor.shutdown()


def test_twenty_projects_on_two_workers_and_one_with_a_wrong_secret(
    make_cluster: Callable[..., Any], projects: Projects
) -> None:
    cluster = make_cluster(MP_CONFIG=str(projects.file))
    jobs = [
        projects.add(profiles=30, secret="wrong" if number == 7 else None) for number in range(20)
    ]
    cluster.worker()
    cluster.worker()
    with executor_on(cluster) as executor:
        outcomes = {one.job: one for one in fetch_many(jobs, executor)}
    assert len(outcomes) == 20
    assert {name for name, one in outcomes.items() if one.exit_code} == {"p7"}
    assert outcomes["p7"].exit_code == 2
    assert [projects.rows(number) for number in range(20) if number != 7] == [30] * 19
    assert max(one.stats.max_in_flight for one in projects.simulators) <= 5


def test_the_job_of_a_worker_that_is_killed_is_begun_again(
    make_cluster: Callable[..., Any], projects: Projects, kit: Any
) -> None:
    cluster = make_cluster(MP_CONFIG=str(projects.file))
    jobs = [projects.add(profiles=100, latency=0.3) for _ in range(3)]
    killed = cluster.worker(3)
    with executor_on(cluster) as executor:
        running = kit.in_thread(lambda: list(fetch_many(jobs, executor)))
        kit.wait_for(
            lambda: all(one.stats.received > 2 for one in projects.simulators), "jobs to run"
        )
        killed.kill()
        cluster.worker(3)
        outcomes = running.result()
    assert [one.exit_code for one in outcomes] == [0, 0, 0]
    assert [projects.rows(number) for number in range(3)] == [100] * 3


def test_jobs_are_stopped_where_they_run(
    make_cluster: Callable[..., Any], projects: Projects, kit: Any
) -> None:
    cluster, cancel = make_cluster(MP_CONFIG=str(projects.file)), threading.Event()
    jobs = [projects.add(profiles=10_000, latency=0.3) for _ in range(3)]
    cluster.worker(2)
    with executor_on(cluster) as executor:
        running = kit.in_thread(lambda: list(fetch_many(jobs, executor, cancel=cancel)))
        kit.wait_for(lambda: projects.simulators[0].stats.received > 2, "a job to run")
        cancel.set()
        outcomes = running.result()
    assert len(outcomes) == 3
    statuses = {one.status for one in outcomes}
    assert "interrupted" in statuses
    assert statuses <= {"interrupted", "not run"}


def test_no_more_run_at_once_than_may(cluster: Any) -> None:
    def call() -> tuple[float, float]:
        began = time.monotonic()
        time.sleep(0.05)
        return began, time.monotonic()

    with executor_on(cluster, jobs=1) as executor:
        futures = [executor.submit(call) for _ in range(6)]
        spans = sorted(future.result() for future in futures)
    assert all(spans[i][1] <= spans[i + 1][0] for i in range(5))


def test_what_a_call_raises_is_its_outcome(cluster: Any) -> None:
    def call() -> None:
        raise ConfigError("no such thing")

    with executor_on(cluster) as executor:
        failing, working = executor.submit(call), executor.submit(os.getpid)
        with pytest.raises(ConfigError, match="no such thing"):
            failing.result()
        assert working.result() != os.getpid()


def test_a_call_that_waits_can_be_cancelled(cluster: Any) -> None:
    with executor_on(cluster, jobs=1) as executor:
        first, second = executor.submit(time.sleep, 0.5), executor.submit(time.sleep, 60)
        assert second.cancel()
        assert first.result() is None


def test_shutdown_waits_and_leaves_no_thread(cluster: Any, kit: Any) -> None:
    with executor_on(cluster) as executor:
        executor.submit(os.getpid).result()
    before = {thread.ident for thread in threading.enumerate()}
    with executor_on(cluster) as executor:
        future = executor.submit(time.sleep, 0.3)
    assert future.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(os.getpid)
    kit.wait_for(
        lambda: {thread.ident for thread in threading.enumerate()} <= before, "threads to end"
    )


def test_shutdown_without_waiting_drops_what_runs(cluster: Any) -> None:
    executor = open_executor(max_workers=1, scheduler=cluster.address)
    futures = [executor.submit(time.sleep, 30), executor.submit(time.sleep, 30)]
    executor.shutdown(wait=False)
    assert futures[1].cancelled()
