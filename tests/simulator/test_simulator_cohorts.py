"""The list of saved cohorts, as Mixpanel's documentation shows it."""

from __future__ import annotations

import pytest

from mixpanel_fetch.simulator import EngageSimulator, SimulatorProcess

LISTS = ["/api/query/cohorts/list", "/api/2.0/cohorts/list"]
COHORTS = {"cohorts": {7: ["p0", "p1"], 8: [], 9: ["ghost"]}, "cohort_names": {7: "Power users"}}


@pytest.mark.parametrize("path", LISTS)
def test_both_paths_list_the_cohorts(client, path):
    with EngageSimulator(profiles=3, **COHORTS) as simulator:
        answer = client.ask(simulator, path=path)
    assert answer.status_code == 200
    assert [(one["id"], one["name"], one["count"]) for one in answer.json()] == [
        (7, "Power users", 2),
        (8, "Cohort 8", 0),
        (9, "Cohort 9", 1),
    ]
    assert {key: type(value) for key, value in answer.json()[0].items()} == {
        "count": int,
        "is_visible": int,
        "description": str,
        "created": str,
        "project_id": int,
        "id": int,
        "name": str,
    }


def test_a_list_counts_against_the_hour(client):
    with EngageSimulator(profiles=3, hourly_limit=2, **COHORTS) as simulator:
        codes = [
            client.ask(simulator, path=LISTS[0]).status_code,
            client.ask(simulator).status_code,
        ]
        codes.append(client.ask(simulator, path=LISTS[0]).status_code)
        assert simulator.stats.counted_queries == 2
    assert codes == [200, 200, 429]


def test_a_list_is_for_those_who_may_ask(client):
    with EngageSimulator(profiles=3, **COHORTS) as simulator:
        assert client.ask(simulator, path=LISTS[0], authorization="Basic eDp5").status_code == 401
        assert client.ask(simulator, path=LISTS[0], project_id=6).status_code == 403
        assert client.send(simulator, method="GET", path=LISTS[0]).status_code == 405
        assert client.send(simulator, method="GET", path=LISTS[1]).status_code == 200


def test_the_wrong_region_has_no_cohorts(client):
    with EngageSimulator(profiles=3, wrong_region=True, **COHORTS) as simulator:
        assert client.ask(simulator, path=LISTS[0]).json() == []


def test_cohorts_reach_a_process_of_their_own(client):
    with SimulatorProcess(profiles=3, **COHORTS) as simulator:
        names = [one["name"] for one in client.ask(simulator, path=LISTS[0]).json()]
    assert names == ["Power users", "Cohort 8", "Cohort 9"]
