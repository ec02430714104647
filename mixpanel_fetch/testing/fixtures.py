"""pytest fixtures: name this module in the ``pytest_plugins`` of a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mixpanel_fetch.simulator import EngageSimulator


@pytest.fixture
def engage_simulator() -> Iterator[Callable[..., EngageSimulator]]:
    """Make running simulators: ``engage_simulator(profiles=2500, latency=0.05)``.

    Takes the switches of :class:`~mixpanel_fetch.simulator.SimulatorConfig`; each simulator stops
    at the end of the test.
    """
    from mixpanel_fetch.simulator import EngageSimulator

    with ExitStack() as stack:

        def make(**switches: Any) -> EngageSimulator:
            return stack.enter_context(EngageSimulator(**switches))

        yield make
