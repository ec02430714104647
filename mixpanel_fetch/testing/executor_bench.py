"""One executor on the bench: made, given calls, and shut down in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.jobs import Job
from mixpanel_fetch.plugins import PluginHost
from mixpanel_fetch.testing.cases import ExecutorCase
from mixpanel_fetch.testing.executor_calls import Held, Note
from mixpanel_fetch.testing.fetching import host_of
from mixpanel_fetch.testing.promises import promised

if TYPE_CHECKING:
    from mixpanel_fetch.simulator import EngageSimulator

ENDS = "a call that is submitted must end"


class ExecutorBench:
    """What the tests of an executor do with it. A context manager; ``folder`` is empty."""

    def __init__(self, case: ExecutorCase, folder: Path) -> None:
        self.case = case
        self._folder = folder
        self._executors: list[Executor] = []
        self._held: list[Held] = []
        self._folders = 0

    def __enter__(self) -> ExecutorBench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for call in self._held:
            call.let_go()
        for executor in self._executors:
            with suppress(Exception):  # a broken one has failed its test already
                executor.shutdown(wait=True)

    @cached_property
    def host(self) -> PluginHost:
        """The plugins there are."""
        return host_of(self.case.spec)

    def executor(self, max_workers: int = 2) -> Executor:
        """Return the executor, made anew. It is shut down after the test, if not before."""
        registered = self.host.executor(self.case.executor)
        made: Executor = registered.make(max_workers=max_workers, options=dict(self.case.options))
        self._executors.append(made)
        return made

    def held(self) -> Held:
        """Return a call that lasts until it is let go; after the test it is."""
        call = Held(self._new_folder(), self.case.patience)
        self._held.append(call)
        return call

    def note(self) -> Note:
        """Return a call that leaves a note."""
        return Note(self._new_folder())

    def call(self, executor: Executor, function: Callable[..., Any], /, *args: Any) -> Any:
        """Submit a call and return what it returns, or raise what it raises."""
        __tracebackhide__ = True
        return self.outcome(executor.submit(function, *args))

    def outcome(self, future: Future[Any], words: str = ENDS) -> Any:
        """Return what a call returned, or raise what it raised; fail with ``words`` if neither."""
        __tracebackhide__ = True
        self.wait_until(future.done, words)
        return future.result()

    def begun(self, executor: Executor, call: Held) -> tuple[Future[bool], str]:
        """Submit a call and wait until it runs; return its future, and where it runs."""
        __tracebackhide__ = True
        future = executor.submit(call)
        self.wait_until(call.began.exists, "a call that is submitted must begin")
        return future, call.began.read_text()

    def wait_until(self, condition: Callable[[], object], words: str) -> None:
        """Wait until something is so; fail with ``words`` if it never is."""
        __tracebackhide__ = True
        deadline = time.monotonic() + self.case.patience
        while not condition():
            assert time.monotonic() < deadline, f"{words}, within {self.case.patience:g} s"
            time.sleep(0.01)

    def assert_works(self, executor: Executor, when: str) -> None:
        """Assert that the next call works."""
        __tracebackhide__ = True
        with promised(f"the next call must work {when}"):
            assert self.call(executor, abs, -7) == 7

    def job(self, simulator: EngageSimulator, name: str, **fetch: Any) -> Job:
        """Return a job that fetches from ``simulator`` into :meth:`landed`."""
        config = simulator.config
        connection = {
            "username": config.username,
            "secret": config.secret,
            "project_id": config.project_id,
            "api_base_url": simulator.base_url,
            "destination": f"jsonl:///{self.landed(name)}",
            "max_retries": 0,
            "shared_quota": False,
            "trust_environment": False,
        }
        return Job(name, "profiles", mode="create", connection=connection, fetch=fetch)

    def landed(self, name: str) -> Path:
        """Return the file that a job writes, one row a line."""
        return self._folder / f"{name}.jsonl"

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._folder / f"call-{self._folders}"
        folder.mkdir()
        return folder


def most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    """Return how many of the spans had a moment in common, at the most."""
    changes = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most
