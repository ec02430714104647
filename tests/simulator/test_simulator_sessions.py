from __future__ import annotations

import pytest

from mixpanel_fetch.simulator import EngageSimulator

UNCACHED = "request for page in uncached query for params"


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


def assert_uncached(response):
    assert response.status_code == 400
    assert response.json()["error"] == UNCACHED


def test_session_id_looks_like_mixpanels(client):
    with EngageSimulator(profiles=3, clock=Clock()) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
    assert session_id.startswith("1700000000-")


def test_later_page_without_session_is_refused(client):
    with EngageSimulator(profiles=3) as simulator:
        for form in ({}, {"session_id": ""}):
            response = client.ask(simulator, page=1, **form)
            assert response.status_code == 400
            assert "session_id" in response.json()["error"]


def test_unknown_session_is_an_uncached_query(client):
    with EngageSimulator(profiles=3) as simulator:
        assert_uncached(client.ask(simulator, page=1, session_id="1234567890-EXAMPL"))


@pytest.mark.parametrize(
    "other",
    [
        {"where": 'properties["plan"] == "pro"'},
        {"output_properties": '["plan"]'},
        {"filter_by_cohort": '{"id": 1}'},
        {"distinct_id": "x"},
        {"data_group_id": "-1405123841946871899"},
    ],
)
def test_session_is_bound_to_its_query(client, other):
    with EngageSimulator(profiles=3, cohorts={1: []}) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        assert_uncached(client.ask(simulator, page=1, session_id=session_id, **other))
        assert client.ask(simulator, page=1, session_id=session_id).ok


def test_first_page_can_be_asked_again_in_its_session(client):
    with EngageSimulator(profiles=3) as simulator:
        first = client.ask(simulator).json()
        again = client.ask(simulator, page=0, session_id=first["session_id"]).json()
        assert again == first
        assert simulator.stats.sessions == 1


def test_each_first_page_opens_a_session(client):
    with EngageSimulator(profiles=3) as simulator:
        ids = {client.ask(simulator).json()["session_id"] for _ in range(3)}
        assert len(ids) == 3
        assert simulator.stats.sessions == 3


def test_session_expires_after_its_time(client):
    clock = Clock()
    with EngageSimulator(profiles=3, session_ttl=60, clock=clock) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        clock.now += 59
        assert client.ask(simulator, page=1, session_id=session_id).ok
        clock.now += 1
        assert_uncached(client.ask(simulator, page=1, session_id=session_id))


def test_session_expires_after_some_requests(client):
    with EngageSimulator(profiles=3, session_pages=2) as simulator:
        for _ in range(2):
            session_id = client.ask(simulator).json()["session_id"]
            for page in (1, 2):
                assert client.ask(simulator, page=page, session_id=session_id).ok
            assert_uncached(client.ask(simulator, page=3, session_id=session_id))


def test_only_the_first_sessions_expire_if_wanted(client):
    with EngageSimulator(profiles=3, session_pages=0, session_expiry_repeats=1) as simulator:
        first = client.ask(simulator).json()["session_id"]
        second = client.ask(simulator).json()["session_id"]
        assert_uncached(client.ask(simulator, page=1, session_id=first))
        assert client.ask(simulator, page=1, session_id=second).ok


def test_session_id_may_change_with_each_answer(client):
    with EngageSimulator(profiles=9, page_size=3, session_id_changes=True) as simulator:
        first = client.ask(simulator).json()
        second = client.ask(simulator, page=1, session_id=first["session_id"]).json()
        assert second["session_id"] != first["session_id"]
        for session_id in (first["session_id"], second["session_id"]):
            third = client.ask(simulator, page=2, session_id=session_id).json()
            assert len(third["results"]) == 3


def test_oldest_sessions_make_room(client, monkeypatch):
    monkeypatch.setattr("mixpanel_fetch.simulator.sessions.MAX_SESSION_IDS", 2)
    with EngageSimulator(profiles=3) as simulator:
        ids = [client.ask(simulator).json()["session_id"] for _ in range(3)]
        assert_uncached(client.ask(simulator, page=1, session_id=ids[0]))
        assert client.ask(simulator, page=1, session_id=ids[1]).ok


def test_behaviors_without_as_of_cannot_be_paged(client):
    behaviors = '[{"window":"30d","name":"bought","event_selectors":[{"event":"Buy"}]}]'
    with EngageSimulator(profiles=30, page_size=10) as simulator:
        session_id = client.ask(simulator, behaviors=behaviors).json()["session_id"]
        page = {"page": 1, "session_id": session_id, "behaviors": behaviors}
        assert_uncached(client.ask(simulator, **page))
        dated = client.ask(simulator, behaviors=behaviors, as_of_timestamp=1700000000).json()
        page.update(session_id=dated["session_id"], as_of_timestamp=1700000000)
        assert client.ask(simulator, **page).ok
