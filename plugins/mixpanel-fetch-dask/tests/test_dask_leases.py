"""Slots that are lent for a time, and what time does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from distributed import Client
from mixpanel_fetch_dask.leases import LeaseGate, Slots

from mixpanel_fetch.client_settings import ClientSettings
from mixpanel_fetch.errors import ConfigError, FetchInterruptedError
from mixpanel_fetch.model import Credentials, Secret

SECRET = "s3cr3t-of-the-project"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def lent(address: str, name: str, limit: int = 1) -> Iterator[tuple[Any, Slots]]:
    slots = Slots(name, limit, lease=100.0)
    with Client(address, set_as_default=False) as client, slots.registered(client) as semaphore:
        yield semaphore, slots


def test_a_slot_goes_round(cluster: Any) -> None:
    with lent(cluster.address, "round") as (semaphore, slots):
        gate = LeaseGate(semaphore, slots, lambda: False)
        gate.acquire()
        gate.confirm()
        assert semaphore.get_value() == 1
        gate.release()
        assert semaphore.get_value() == 0


def test_a_process_that_stood_still_before_it_sends_borrows_anew(cluster: Any, kit: Any) -> None:
    with lent(cluster.address, "still") as (semaphore, slots):
        clock, other = Clock(), LeaseGate(semaphore, slots, lambda: False)
        gate = LeaseGate(semaphore, slots, lambda: False, clock)
        gate.acquire()
        waiting = kit.in_thread(other.acquire)
        clock.now += 21.0
        # Whoever waits may come first: there is one slot.
        sending = kit.in_thread(gate.confirm)
        kit.wait_for(lambda: not (waiting.is_alive() and sending.is_alive()), "one of them")
        assert semaphore.get_value() == 1
        assert waiting.is_alive() or sending.is_alive()


def test_a_slot_that_was_long_on_its_way_is_given_back(cluster: Any) -> None:
    with lent(cluster.address, "late") as (semaphore, slots):
        times = iter([0.0, 30.0, 30.0, 31.0])
        gate = LeaseGate(semaphore, slots, lambda: False, lambda: next(times))
        gate.acquire()
        assert semaphore.get_value() == 1
        assert next(times, None) is None, "it was borrowed twice"


def test_nothing_is_lent_after_the_end_of_the_fetch(cluster: Any) -> None:
    with lent(cluster.address, "over") as (semaphore, slots):
        gate = LeaseGate(semaphore, slots, lambda: True)
        with pytest.raises(FetchInterruptedError):
            gate.acquire()
        assert semaphore.get_value() == 0


def test_a_lease_outlives_the_longest_request(kit: Any) -> None:
    slots = Slots.of(settings(connect_timeout=10.0, read_timeout=120.0), 5)
    renewed = slots.lease / 5
    assert slots.lease - renewed >= 130.0


def test_a_shorter_lease_is_not_taken_for_longer_requests(cluster: Any) -> None:
    with Client(cluster.address, set_as_default=False) as client:
        for seconds in (20.0, 10.0):
            with Slots.of(settings(project_id="991", read_timeout=seconds), 5).registered(client):
                pass
        longer = Slots.of(settings(project_id="991", read_timeout=90.0), 5)
        with (
            pytest.raises(ConfigError, match="a request may take longer"),
            longer.registered(client),
        ):
            pass


@pytest.mark.parametrize("secret", [None, SECRET])
def test_the_name_of_the_slots_tells_nothing(secret: str | None) -> None:
    name = Slots.of(settings(api_secret=secret), 5).name
    assert SECRET not in name
    assert "12345" not in name


def test_projects_and_hosts_have_slots_of_their_own() -> None:
    given: list[Callable[[], ClientSettings]] = [
        settings,
        lambda: settings(project_id="54321"),
        lambda: settings(region="eu"),
        lambda: settings(base_url="http://127.0.0.1:1"),
    ]
    assert len({Slots.of(make(), 5).name for make in given}) == len(given)


def settings(
    api_secret: str | None = None,
    project_id: str = "12345",
    region: str = "us",
    **others: Any,
) -> ClientSettings:
    secret = None if api_secret is None else Secret(api_secret)
    project = None if api_secret else project_id
    who = Credentials("demo", Secret(SECRET), project, region, api_secret=secret)
    return ClientSettings(who, **others)
