"""What a strategy that fetches beyond this process needs of the core."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.hookspecs import StrategySpec
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import Gate, PageSource
from mixpanel_fetch.quota import ConcurrencyGate
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.testing.fetching import Collector, client_of, fetch, host_of


class Counting:
    """A gate that notes what is asked of it."""

    def __init__(self, inner: Gate) -> None:
        self.calls: list[str] = []
        self._inner = inner

    def acquire(self) -> None:
        self.calls.append("acquire")
        self._inner.acquire()

    def confirm(self) -> None:
        self.calls.append("confirm")

    def release(self) -> None:
        self.calls.append("release")
        self._inner.release()

    def narrow(self) -> None:
        self._inner.narrow()


class Elsewhere:
    """A strategy with a gate of its own, whose pages are fetched by the source's twin."""

    made: Any = None

    def __init__(self, max_workers: int | None = None) -> None:
        self.max_workers = max_workers

    def gate(self, settings: Any, gate: Gate) -> Gate:
        assert settings.project == "12345"
        Elsewhere.made = Counting(gate)
        return Elsewhere.made

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        twin: Any = pickle.loads(pickle.dumps(source.portable())).open(ConcurrencyGate(2))
        try:
            yield from map(twin.attempt, pages)
        finally:
            twin.close()


def fetched(simulator: Any, strategy: type[Any] = Elsewhere, **options: Any) -> Any:
    host = host_of(StrategySpec("elsewhere", strategy))
    return fetch(simulator, Collector(), host, strategy="elsewhere", page_size=10, **options)


def test_the_first_page_takes_its_slot_from_the_strategys_gate(engage_simulator: Any) -> None:
    result = fetched(engage_simulator(profiles=50))
    assert result.exit_code == 0
    assert Elsewhere.made.calls == ["acquire", "confirm", "release"]


@pytest.mark.parametrize(
    ("error", "raised"), [(ConfigError("no cluster"), ConfigError), (KeyError("x"), PluginError)]
)
def test_a_gate_that_cannot_be_had_costs_no_request(
    engage_simulator: Any, error: Exception, raised: type[Exception]
) -> None:
    class Without(Elsewhere):
        def gate(self, settings: Any, gate: Gate) -> Gate:
            raise error

    simulator = engage_simulator(profiles=50)
    with pytest.raises(raised):
        fetched(simulator, Without)
    assert simulator.stats.received == 0


def test_a_slot_is_confirmed_before_each_request(engage_simulator: Any) -> None:
    gate = Counting(ConcurrencyGate(1))
    simulator = engage_simulator(profiles=50)
    client = client_of(simulator)
    with client.connect(gate=gate) as connection:
        connection.fetch_cohorts()
        connection.fetch_cohorts()
    assert gate.calls == ["acquire", "confirm", "release"] * 2


def test_a_page_that_may_be_missing_may_be_so_elsewhere(engage_simulator: Any) -> None:
    simulator = engage_simulator(profiles=50, faults=[Fault(2, "empty", times=None)])
    result = fetched(simulator, allow_missing=10)
    assert result.failed_page_indices == ()
    assert result.missing_rows == 10
