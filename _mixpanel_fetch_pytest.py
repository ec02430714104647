"""The pytest plugin of mixpanel-fetch: fixtures for authors of plugins.

pytest loads this module in every run of an environment that has mixpanel-fetch, before coverage is
measured. So it stands outside of the package, and imports it only where a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mixpanel_fetch.batch import Batch
    from mixpanel_fetch.plugins import PluginHost
    from mixpanel_fetch.simulator import EngageSimulator
    from mixpanel_fetch.testing.fixtures import Fetches


@pytest.fixture
def engage_simulator() -> Iterator[Callable[..., EngageSimulator]]:
    """Make running simulators: ``engage_simulator(profiles=2500, latency=0.05)``.

    Takes the switches of mixpanel_fetch.simulator.SimulatorConfig; each simulator stops at the end
    of the test.
    """
    from mixpanel_fetch.testing.fixtures import simulators  # noqa: PLC0415

    with simulators() as make:
        yield make


@pytest.fixture
def plugin_host() -> Callable[..., PluginHost]:
    """Make plugin hosts: ``plugin_host(my_module, files=["my_sink.py"], installed=False)``.

    A plugin is a module or an object with hooks, or a SinkSpec, TransformSpec or StrategySpec.
    """
    from mixpanel_fetch.testing.fixtures import make_host  # noqa: PLC0415

    return make_host


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Make batches: ``make_batch("id-1", {"distinct_id": "id-2", "properties": {}}, plan="free")``.

    Positional arguments are ids or rows, keywords are properties of every row.
    """
    from mixpanel_fetch.testing.fixtures import make_batch  # noqa: PLC0415

    return make_batch


@pytest.fixture
def run_fetch(engage_simulator: Callable[..., EngageSimulator]) -> Fetches:
    """Run a whole fetch: ``run_fetch("my-sink:///out", profiles=50, plugins=[my_module])``.

    Returns the result. Other keywords are those of ``Workspace.fetch_profiles``.
    """
    from mixpanel_fetch.testing.fixtures import Fetches  # noqa: PLC0415

    return Fetches(engage_simulator)


@pytest.fixture
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Hide the settings, accounts and caches of whoever runs the tests, and the proxies.

    Say ``usefixtures = clean_environment`` in pytest's configuration, and every test has it.
    Variables that begin with ``MP_TEST_`` stay.
    """
    for name in list(os.environ):
        ours = name.startswith("MP_") and not name.startswith("MP_TEST_")
        if ours or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for folder in ("CONFIG", "CACHE"):
        place = tmp_path_factory.mktemp(folder.lower())
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(place))
