"""Dask clusters of the tests' own, on loopback: a scheduler and workers, each a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
import mixpanel_fetch_dask
import pytest

from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.plugins import PluginHost, Provider
from mixpanel_fetch.services import FetcherService
from mixpanel_fetch.testing.fetching import Collector, client_of

SECONDS = 120.0
"""How long anything may take on a slow machine."""


def wait_for(met: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait until a condition is met, or fail."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for: {what}"
        time.sleep(0.01)


class ClusterProcesses:
    """A scheduler and its workers. ``logs`` is the folder with what they said."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *tls: str, host: str = "127.0.0.1"
    ) -> None:
        self.logs = folder
        self._environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("MP_")},
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "DASK_LOGGING__DISTRIBUTED": "debug",
            "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL": "100ms",
            **environment,
        }
        self._tls = tls
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        protocol = ("--protocol", "tls") if tls else ()
        place = f"--host {host} --port 0 --dashboard-address 127.0.0.1:0"
        self._start("scheduler", *protocol, *place.split(), "--scheduler-file", str(self._file))
        wait_for(self._has_begun, "the scheduler")
        self.address = str(json.loads(self._file.read_text())["address"])

    def worker(self, threads: int = 4) -> subprocess.Popen[bytes]:
        """Start a worker; wait until the scheduler has it."""
        before = self.count()
        name = f"worker-{len(self._processes)}"
        options = f"--nthreads {threads} --no-nanny --host 127.0.0.1 --no-dashboard --name {name}"
        process = self._start("worker", self.address, *options.split())
        wait_for(lambda: self.count() > before, name)
        return process

    def count(self) -> int:
        """Return how many workers the scheduler has seen come."""
        return (self.logs / "scheduler-0.log").read_text().count("Register worker addr")

    def stop(self) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def _has_begun(self) -> bool:
        assert self._processes[0].poll() is None, (self.logs / "scheduler-0.log").read_text()
        try:
            return bool(json.loads(self._file.read_text()))
        except (FileNotFoundError, ValueError):
            return False

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        folder = self.logs / f"{kind}-{len(self._processes)}"
        folder.mkdir()
        with (self.logs / f"{folder.name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, *self._tls],
                env=self._environment,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProcesses]:
    """A cluster with two workers, which no test harms."""
    cluster = ClusterProcesses(tmp_path_factory.mktemp("cluster"), {})
    try:
        cluster.worker()
        cluster.worker()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def make_cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., ClusterProcesses]]:
    """Make clusters without workers; keywords but ``host`` are variables of their environment."""
    made: list[ClusterProcesses] = []

    def make(*tls: str, host: str = "127.0.0.1", **environment: str) -> ClusterProcesses:
        folder = tmp_path_factory.mktemp("cluster")
        made.append(ClusterProcesses(folder, environment, *tls, host=host))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


class Kit:
    """What the tests share."""

    SECONDS = SECONDS
    wait_for = staticmethod(wait_for)

    def __init__(self) -> None:
        self.host = PluginHost(installed=False)
        from mixpanel_fetch.defaults import sequential

        self.host.register(sequential, Provider("sequential", "mixpanel-fetch"))
        self.host.register(mixpanel_fetch_dask, Provider("dask", "the tested plugin"))

    def fetch(
        self,
        simulator: Any,
        strategy: str = "dask",
        *,
        client: Mapping[str, Any] | None = None,
        page_size: int = 10,
        **options: Any,
    ) -> tuple[Any, dict[int, Any]]:
        """Fetch all profiles; return the result, and the pages as the sink was given them."""
        sink = Collector()
        service = FetcherService(
            client_of(simulator, **client or {}), sink, assembler=Assembler(self.host)
        )
        result = service.fetch_profiles(
            "profiles", strategy=strategy, page_size=page_size, **options
        )
        return result, sink.pages

    @staticmethod
    def in_thread(call: Callable[[], Any]) -> InThread:
        """Begin a call in a thread."""
        return InThread(call)

    def started(self, *args: Any, **keywords: Any) -> InThread:
        """Begin a fetch in a thread."""
        return InThread(lambda: self.fetch(*args, **keywords))


class InThread(threading.Thread):
    """A call in a thread; its end, and what it came to."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._value: Any = None
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._call()
        except Exception as error:  # noqa: BLE001
            self._error = error

    def result(self) -> Any:
        self.join(SECONDS)
        assert not self.is_alive(), "the call did not end"
        if self._error is not None:
            raise self._error
        return self._value


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()


@pytest.fixture
def short_leases() -> Iterator[dict[str, Any]]:
    """Settings of a client whose slots are lent for 5 seconds, not for minutes."""
    with dask.config.set({"distributed.scheduler.locks.lease-timeout": "1s"}):
        yield {"connect_timeout": 1.0, "read_timeout": 3.0}


@pytest.fixture(autouse=True)
def _no_settings(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the user's own settings out."""
    for name in [name for name in os.environ if name.startswith("DASK_")]:
        monkeypatch.delenv(name)
