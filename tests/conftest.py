from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
import weakref
from unittest import mock

import pytest

from mixpanel_fetch import MixpanelAPIClient, Workspace
from mixpanel_fetch.cli import run


class QuietWeakKeys(weakref.WeakKeyDictionary):
    """Forgets dead keys without running Python code. Not to be iterated meanwhile."""

    def __init__(self):
        super().__init__()
        self._remove = self.data.pop


def keep_coverage_from_hanging(collector):
    """Give coverage's tracers of other threads dictionaries that forget in C.

    In CPython 3.11, traced Python code that runs inside a pending call spins for ever once another
    pending call waits: RESUME is dispatched again and again. greenlet cleans up after a thread in
    a pending call, and there a weak dictionary of the thread's tracer runs its callback. So two
    threads that end together were enough to hang the tests.
    """
    start, lock = collector._installation_trace, threading.Lock()

    def start_tracer(frame, event, arg):
        with lock, mock.patch.object(weakref, "WeakKeyDictionary", QuietWeakKeys):
            return start(frame, event, arg)

    collector._installation_trace = start_tracer
    threading.settrace(start_tracer)


def pytest_configure(config):
    # Told not to measure after all, pytest-cov fails at each test marked no_cover.
    if config.getoption("no_cov", False) and config.pluginmanager.has_plugin("_cov"):
        config.pluginmanager.unregister(name="_cov")


@pytest.hookimpl(trylast=True)  # in a worker of xdist, coverage starts in this hook
def pytest_sessionstart():
    # A script's background job ignores Ctrl-C, and so would every process that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "coverage" in sys.modules:
        from coverage import Coverage

        if (coverage := Coverage.current()) is not None:
            keep_coverage_from_hanging(coverage._collector)


@pytest.hookimpl(trylast=True)  # hypothesis marks its tests in this hook
def pytest_collection_modifyitems(items):
    """Properties are tried too often to be traced; there are few lines that only they reach."""
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker(pytest.mark.no_cover)


ACCOUNT = {"username": "demo", "secret": "demo-secret", "project_id": 12345}


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """A folder for each test's own settings and cache, and the next one's name."""
    return tmp_path_factory.mktemp("homes"), itertools.count()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, homes):
    """No test sees the settings, secrets, proxies or CA bundles of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith("MP_") or name.lower().endswith("_proxy") or "CA_BUNDLE" in name:
            monkeypatch.delenv(name)
    folder, numbers = homes
    home = folder / str(next(numbers))
    for name in ("config", "cache"):
        (home / name).mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def client_of():
    """A client of a simulator, quick to retry."""

    def make(simulator, **changes):
        settings = {**ACCOUNT, "base_url": simulator.base_url, "max_retries": 1, **changes}
        return MixpanelAPIClient(**settings)

    return make


@pytest.fixture
def workspace_of():
    """A Workspace on a simulator."""

    def make(simulator, destination, **changes):
        settings = {**ACCOUNT, "api_base_url": simulator.base_url, "max_retries": 1, **changes}
        return Workspace(destination=destination, **settings)

    return make


@pytest.fixture
def environment_of(monkeypatch):
    """Point the environment at a simulator."""

    def make(simulator):
        monkeypatch.setenv("MP_USERNAME", "demo")
        monkeypatch.setenv("MP_SECRET", "demo-secret")
        monkeypatch.setenv("MP_PROJECT_ID", "12345")
        monkeypatch.setenv("MP_API_BASE_URL", simulator.base_url)

    return make


class Ended:
    """What a command left: exit code, stdout, stderr."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def mp(capfd):
    """Run ``mp`` in this process."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def ring():
    """A keyring in memory, in place of this machine's; it can be ``locked``."""
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked, PasswordDeleteError

    class MemoryKeyring(KeyringBackend):
        priority = 5

        def __init__(self):
            super().__init__()
            self.kept, self.locked = {}, False

        def _open(self):
            if self.locked:
                raise KeyringLocked("it is locked")
            return self.kept

        def get_password(self, service, username):
            return self._open().get((service, username))

        def set_password(self, service, username, password):
            self._open()[service, username] = password

        def delete_password(self, service, username):
            if self._open().pop((service, username), None) is None:
                raise PasswordDeleteError(username)

    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring())
    yield keyring.get_keyring()
    keyring.set_keyring(before)


@pytest.fixture
def slowdown():
    """Tell how much longer this machine takes, busy as it is, than it would with nothing to do."""

    def measure():
        own, wall = time.thread_time(), time.perf_counter()
        while time.thread_time() - own < 0.1:
            pass
        return max(1.0, (time.perf_counter() - wall) / 0.1)

    return measure
