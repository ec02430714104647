from __future__ import annotations

import pytest

from mixpanel_fetch.simulator import EngageSimulator, Fault, SyntheticProfiles


def test_pages_sum_to_the_whole(client):
    with EngageSimulator(profiles=2345) as simulator:
        rows = client.rows(simulator)
    expected = list(SyntheticProfiles(2345))
    assert rows == expected


def test_first_page_carries_the_whole_envelope(client):
    with EngageSimulator(profiles=12, page_size=5) as simulator:
        response = client.ask(simulator)
    answer = response.json()
    assert response.headers["Content-Type"] == "application/json"
    assert list(answer) == ["page", "page_size", "session_id", "status", "total", "results"]
    assert (answer["page"], answer["page_size"], answer["total"]) == (0, 5, 12)
    assert answer["status"] == "ok"
    assert len(answer["results"]) == 5


def test_pages_come_in_any_order(client):
    with EngageSimulator(profiles=12, page_size=5) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        last = client.ask(simulator, page=2, session_id=session_id).json()
        middle = client.ask(simulator, page=1, session_id=session_id).json()
        beyond = client.ask(simulator, page=3, session_id=session_id).json()
    assert [len(answer["results"]) for answer in (last, middle, beyond)] == [2, 5, 0]
    assert last["page"] == 2


@pytest.mark.parametrize(
    ("total_on", "present"),
    [("first", [True, False]), ("all", [True, True]), ("never", [False] * 2)],
)
def test_total_is_where_the_switch_says(client, total_on, present):
    with EngageSimulator(profiles=12, page_size=5, total_on=total_on) as simulator:
        first = client.ask(simulator).json()
        second = client.ask(simulator, page=1, session_id=first["session_id"]).json()
    assert ["total" in first, "total" in second] == present


def test_total_may_count_the_rows_of_its_page_alone(client):
    with EngageSimulator(profiles=12, page_size=5, total_counts="results") as simulator:
        assert client.ask(simulator).json()["total"] == 5


def test_page_size_can_be_left_out(client):
    with EngageSimulator(profiles=12, page_size_on="never") as simulator:
        assert "page_size" not in client.ask(simulator).json()


def test_requested_page_size_is_used_and_echoed(client):
    with EngageSimulator(profiles=12) as simulator:
        first = client.ask(simulator, page_size=4).json()
        second = client.ask(simulator, page=1, page_size=4, session_id=first["session_id"]).json()
        unnamed = client.ask(simulator, page=2, session_id=first["session_id"]).json()
    assert (first["page_size"], len(first["results"])) == (4, 4)
    assert (second["page_size"], unnamed["page_size"], len(unnamed["results"])) == (4, 4, 4)


def test_page_size_zero_gives_no_rows_but_the_total(client):
    with EngageSimulator(profiles=12) as simulator:
        answer = client.ask(simulator, page_size=0).json()
    assert (answer["results"], answer["total"]) == ([], 12)


def test_too_large_a_page_size_is_clamped(client):
    with EngageSimulator(profiles=12, max_page_size=5) as simulator:
        answer = client.ask(simulator, page_size=100).json()
        within = client.ask(simulator, page_size=3).json()
    assert (answer["page_size"], len(answer["results"]), within["page_size"]) == (5, 5, 3)


def test_too_large_a_page_size_is_an_error_if_wanted(client):
    with EngageSimulator(max_page_size=5, page_size_over_max="error") as simulator:
        response = client.ask(simulator, page_size=100)
    assert response.status_code == 400
    assert "at most 5" in response.json()["error"]


def test_no_profiles_give_an_empty_page(client):
    with EngageSimulator(profiles=0) as simulator:
        answer = client.ask(simulator).json()
    assert (answer["results"], answer["total"]) == ([], 0)


def test_wrong_region_finds_nothing(client):
    with EngageSimulator(profiles=5, wrong_region=True) as simulator:
        answer = client.ask(simulator).json()
    assert (answer["results"], answer["total"]) == ([], 0)


def test_shuffled_order_differs_between_sessions_and_loses_nobody(client):
    with EngageSimulator(profiles=50, page_size=7, order="shuffled") as simulator:
        first, second = client.ids(simulator), client.ids(simulator)
    assert first != second
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 50


def test_other_profiles_are_for_new_sessions(client, people):
    with EngageSimulator(profiles=4, page_size=2) as simulator:
        before = client.ask(simulator).json()
        simulator.set_profiles(people)
        old = client.ask(simulator, page=1, session_id=before["session_id"]).json()
        new = client.ask(simulator).json()
    assert len(old["results"]) == 2
    assert old["results"][0]["$distinct_id"] != "p2"
    assert new["total"] == 5
    assert new["results"] == people[:2]


def test_without_snapshot_sessions_see_changes(client, people):
    with EngageSimulator(profiles=4, page_size=2, snapshot=False) as simulator:
        before = client.ask(simulator).json()
        simulator.set_profiles(people)
        after = client.ask(simulator, page=1, session_id=before["session_id"]).json()
    assert after["results"] == people[2:4]


def test_encoded_pages_are_dropped_when_the_cache_is_full(client):
    with EngageSimulator(profiles=30, page_size=10, cache_bytes=8000) as simulator:
        assert client.ids(simulator) == client.ids(simulator)
    with EngageSimulator(profiles=30, page_size=10, cache_bytes=0) as simulator:
        assert client.ids(simulator) == client.ids(simulator)


def test_fault_does_not_spoil_the_cache(client):
    with EngageSimulator(profiles=10, page_size=5) as simulator:
        good = client.ids(simulator)
        simulator.set_faults([Fault(0, "empty"), Fault(1, "short")])
        client.ids(simulator)
        client.ids(simulator)
        assert client.ids(simulator) == good
