"""What ``on_event`` is told of a run, and that it disturbs nothing."""

from __future__ import annotations

import logging

import pytest

from mixpanel_fetch import MixpanelAPIClient
from mixpanel_fetch.events import PageDone, Publishing, RunEnded, RunOpened, Waiting
from mixpanel_fetch.services import FetcherService
from mixpanel_fetch.simulator import Fault


@pytest.fixture
def fetch(engage_simulator, tmp_path):
    """Fetch from a simulator into a file, with whatever is said; return the result."""

    def run(simulator=None, **given):
        simulator = simulator or engage_simulator(profiles=700, page_size=100)
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=simulator.base_url
        )
        service = FetcherService(client, f"duckdb:///{tmp_path}/events.duckdb")
        return service.fetch_profiles("profiles", parallel=True, **given)

    return run


def test_a_run_is_told_from_its_opening_to_its_end(fetch):
    told = []
    result = fetch(on_event=told.append)
    kinds = [type(event) for event in told]
    assert kinds == [RunOpened, *[PageDone] * 7, Publishing, RunEnded]
    assert (told[0].run.total_pages, told[0].landed_pages) == (7, 0)
    assert {event.progress.page_index for event in told[1:8]} == set(range(7))
    assert {event.run_id for event in told[1:9]} == {result.run_id}
    seconds = [event.seconds for event in told[1:9]]
    assert seconds == sorted(seconds)
    assert told[-1].result is result


def test_a_wait_says_which_page_why_and_how_long(fetch, engage_simulator):
    faults = [Fault(3, "503"), Fault(5, "429_concurrency")]
    told = []
    result = fetch(
        engage_simulator(profiles=700, page_size=100, faults=faults), on_event=told.append
    )
    waits = {event.page: event for event in told if isinstance(event, Waiting)}
    assert (result.exit_code, set(waits)) == (0, {3, 5})
    assert (waits[3].limit, waits[3].attempt) == (None, 1)
    assert "503" in waits[3].reason
    assert waits[5].limit == "concurrency"
    assert all(wait.seconds >= 0 for wait in waits.values())


def test_a_resumed_run_says_what_is_held_already(fetch, engage_simulator):
    simulator = engage_simulator(profiles=700, page_size=100, faults=[Fault(6, "400", times=None)])
    told = []
    assert fetch(simulator).failed_page_indices == (6,)
    fetch(simulator, resume=True, on_event=told.append)
    assert told[0].landed_pages == 6
    failed = [event.progress for event in told if isinstance(event, PageDone)]
    assert [(one.page_index, one.success) for one in failed] == [(6, False)]


def test_a_listener_that_raises_is_logged_once_and_changes_nothing(fetch, caplog):
    calls = []

    def listen(event):
        calls.append(event)
        raise RuntimeError("not today")

    with caplog.at_level(logging.WARNING, "mixpanel_fetch"):
        result = fetch(on_event=listen)
    assert (result.total_rows, result.exit_code, len(calls)) == (700, 0, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "on_event raised RuntimeError and is not called again"
    ]
