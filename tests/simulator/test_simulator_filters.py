from __future__ import annotations

import json

import pytest

from mixpanel_fetch.simulator import EngageSimulator, awkward_profiles


def test_where_filters(client, people):
    with EngageSimulator(profiles=people) as simulator:
        assert client.ids(simulator, where='properties["plan"] == "pro"') == ["p1", "p3"]
        assert client.ids(simulator, selector='properties["number"] > 3') == ["p4"]
        assert client.ids(simulator, where='properties["$distinct_id"] == "p2"') == ["p2"]
        assert client.ids(simulator, where="") == ["p0", "p1", "p2", "p3", "p4"]


def test_filtered_pages_sum_to_the_whole(client):
    with EngageSimulator(profiles=500, page_size=20) as simulator:
        everyone = client.rows(simulator)
        free = client.rows(simulator, where='properties["plan"] == "free"')
    assert free == [row for row in everyone if row["$properties"]["plan"] == "free"]
    assert 20 < len(free) < 500


def test_syntax_error_is_a_400_that_says_where(client):
    with EngageSimulator(profiles=3) as simulator:
        response = client.ask(simulator, where='properties["plan" == "pro"')
    assert response.status_code == 400
    assert set(response.json()) == {"request", "error"}
    assert "character 18" in response.json()["error"]


def test_now_and_project_timezone(client):
    rows = [
        {"$distinct_id": "old", "$properties": {"$last_seen": "2026-01-01T00:00:00"}},
        {"$distinct_id": "new", "$properties": {"$last_seen": "2026-01-09T00:00:00"}},
    ]
    now = 1_768_000_000  # 2026-01-09T23:06:40Z
    with EngageSimulator(profiles=rows, clock=lambda: now) as simulator:
        week = 'datetime(properties["$last_seen"]) >= datetime(NOW - 604800)'
        assert client.ids(simulator, where=week) == ["new"]
    with EngageSimulator(profiles=rows, clock=lambda: now, utc_offset=-24) as simulator:
        past = 'datetime(properties["$last_seen"]) <= datetime(NOW)'
        assert client.ids(simulator, where=past) == ["old"]


def test_behaviors_filter_by_a_made_up_count(client):
    behaviors = '[{"window":"30d","name":"bought","event_selectors":[{"event":"Buy"}]}]'
    with EngageSimulator(profiles=100) as simulator:
        some = client.ids(simulator, behaviors=behaviors, where='behaviors["bought"] > 0')
        again = client.ids(simulator, behaviors=behaviors, where='behaviors["bought"] > 0')
    assert 0 < len(some) < 100
    assert some == again


def test_one_and_several_distinct_ids(client, people):
    with EngageSimulator(profiles=people) as simulator:
        assert client.ids(simulator, distinct_id="p3") == ["p3"]
        assert client.ids(simulator, distinct_id="nobody") == []
        assert client.ids(simulator, distinct_ids='["p4", "p0", "x"]') == ["p0", "p4"]
        assert client.ids(simulator, distinct_ids='["p4", "p0"]', distinct_id="p4") == ["p4"]


def test_numeric_ids_are_found_by_their_text(client):
    rows = [{"$distinct_id": 4, "$properties": {}}, {"$distinct_id": "5", "$properties": {}}]
    with EngageSimulator(profiles=rows) as simulator:
        assert client.ids(simulator, distinct_id="4") == [4]
        assert client.ids(simulator, distinct_ids='["4", "5"]') == [4, "5"]


def test_cohort_gives_members_and_by_default_ids_without_profile(client, people):
    cohorts = {7: ["p1", "ghost", "p3"], 8: set()}
    with EngageSimulator(profiles=people, cohorts=cohorts) as simulator:
        rows = client.rows(simulator, filter_by_cohort='{"id": 7}')
        assert rows == [people[1], people[3], {"$distinct_id": "ghost"}]
        assert client.ids(simulator, filter_by_cohort='{"id": 8}') == []


@pytest.mark.parametrize(("flag", "count"), [("true", 3), ("True", 3), ("1", 3), ("false", 2)])
def test_include_all_users(client, people, flag, count):
    with EngageSimulator(profiles=people, cohorts={7: ["p1", "ghost", "p3"]}) as simulator:
        form = {"filter_by_cohort": '{"id": 7}', "include_all_users": flag}
        assert len(client.rows(simulator, **form)) == count


def test_bare_ids_are_paged_like_others(client, people):
    ghosts = [f"ghost{number}" for number in range(5)]
    with EngageSimulator(profiles=people, cohorts={7: ["p1", *ghosts]}, page_size=2) as simulator:
        assert client.ids(simulator, filter_by_cohort='{"id": 7}') == ["p1", *ghosts]


def test_cohort_with_other_filters(client, people):
    with EngageSimulator(profiles=people, cohorts={7: ["p1", "ghost", "p2"]}) as simulator:
        cohort = {"filter_by_cohort": '{"id": 7}'}
        assert client.ids(simulator, where='properties["plan"] == "pro"', **cohort) == ["p1"]
        assert client.ids(simulator, distinct_ids='["p2","ghost","p4"]', **cohort) == [
            "p2",
            "ghost",
        ]


def test_cohort_id_as_text_is_a_switch(client, people):
    with EngageSimulator(profiles=people, cohorts={7: ["p1"]}) as simulator:
        assert client.ids(simulator, filter_by_cohort='{"id": "7"}') == ["p1"]
        assert client.ask(simulator, filter_by_cohort='{"id": "x"}').status_code == 400
    with EngageSimulator(profiles=3, cohorts={7: []}, cohort_id_as_text="reject") as simulator:
        assert client.ask(simulator, filter_by_cohort='{"id": "7"}').status_code == 400


def test_groups_have_their_own_profiles(client, people):
    group_id = "-1405123841946871899"
    groups = {group_id: [{"$distinct_id": "acme", "$properties": {"seats": 5}}]}
    with EngageSimulator(profiles=people, groups=groups) as simulator:
        assert client.ids(simulator, data_group_id=group_id) == ["acme"]
        assert client.ids(simulator, data_group_id="1") == []


def test_output_properties_keep_id_and_last_seen(client):
    with EngageSimulator(profiles=3) as simulator:
        rows = client.rows(simulator, output_properties='["plan", "nobody has it"]')
    assert [set(row["$properties"]) for row in rows] == [{"plan", "$last_seen"}] * 3


def test_output_properties_of_profiles_without_any(client):
    rows = [{"$distinct_id": "a"}, {"$distinct_id": "b", "$properties": {}}]
    with EngageSimulator(profiles=rows) as simulator:
        assert client.rows(simulator, output_properties='["plan"]') == rows


def test_output_properties_keep_the_exact_text_of_values(client):
    raw = b'{"$distinct_id":1.50,"$properties":{"a":1.10,"x":1,"b":-0,"c":[1e308, 2]}}'
    with EngageSimulator(profiles=[raw]) as simulator:
        body = client.ask(simulator, output_properties='["a", "b", "c"]').content
    expected = b'{"$distinct_id":1.50,"$properties":{"a":1.10,"b":-0,"c":[1e308, 2]}}'
    assert b'"results": [' + expected + b"]" in body


def test_output_properties_over_awkward_profiles(client):
    rows = awkward_profiles(120)
    with EngageSimulator(profiles=rows) as simulator:
        got = client.rows(simulator, output_properties='["text", "n", "$city"]')
    assert [row["$distinct_id"] for row in got] == [row.value["$distinct_id"] for row in rows]
    expected = [(row.value.get("$properties") or {}).get("text") for row in rows]
    assert [(row.get("$properties") or {}).get("text") for row in got] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "one"),
        ("page", "-1"),
        ("page_size", "-1"),
        ("workspace_id", "main"),
        ("as_of_timestamp", "yesterday"),
        ("distinct_ids", "p1,p2"),
        ("distinct_ids", "[1, 2]"),
        ("distinct_ids", "[" * 100_000),
        ("output_properties", '{"plan": 1}'),
        ("filter_by_cohort", "7"),
        ("filter_by_cohort", "{}"),
        ("filter_by_cohort", '{"id": true}'),
        ("filter_by_cohort", '{"id": 99}'),
        ("behaviors", "7"),
        ("include_all_users", "maybe"),
    ],
)
def test_parameter_that_cannot_be_read_is_a_400(client, name, value):
    with EngageSimulator(profiles=3) as simulator:
        response = client.ask(simulator, **{name: value})
    assert response.status_code == 400
    assert set(response.json()) == {"request", "error"}


def test_behaviors_exclude_a_cohort(client):
    with EngageSimulator(profiles=3, cohorts={1: []}) as simulator:
        response = client.ask(simulator, behaviors="[]", filter_by_cohort='{"id": 1}')
    assert response.status_code == 400
    assert "mutually exclusive" in response.json()["error"]


def test_body_may_be_json_and_wins_over_the_url(client, people):
    body = {"distinct_ids": ["p1", "p2"], "page": 0, "where": None, "include_all_users": True}
    with EngageSimulator(profiles=people) as simulator:
        response = client.send(simulator, "page=7", json=body)
        record = simulator.stats.requests[0]
    assert [row["$distinct_id"] for row in response.json()["results"]] == ["p1", "p2"]
    assert record.form["distinct_ids"] == json.dumps(["p1", "p2"])
    assert record.form["include_all_users"] == "true"
    assert record.form["where"] == ""
    assert record.page == 0


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[1, 2]", b"7", b"[" * 200_000])
def test_body_that_is_no_parameters_is_as_none(client, body):
    with EngageSimulator(profiles=3) as simulator:
        assert client.send(simulator, data=body).json()["total"] == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_older_path_takes_everything_in_the_url(client, people, method):
    query = "where=properties%5B%22plan%22%5D+%3D%3D+%22pro%22&page_size=1"
    with EngageSimulator(profiles=people) as simulator:
        answer = client.send(simulator, query, method=method, path="/api/2.0/engage").json()
    assert (answer["total"], answer["page_size"]) == (2, 1)
