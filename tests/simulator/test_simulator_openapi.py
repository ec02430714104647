"""The simulator held to a description of the API."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from mixpanel_fetch.simulator import EngageSimulator

DESCRIPTION = yaml.safe_load(
    (Path(__file__).parent / "engage.openapi.yaml").read_text(encoding="utf-8")
)
OPERATION = DESCRIPTION["paths"]["/api/query/engage"]["post"]
FORM = OPERATION["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"][
    "properties"
]
QUERY = {parameter["name"]: parameter["example"] for parameter in OPERATION["parameters"]}


def assert_valid(response):
    described = OPERATION["responses"][str(response.status_code)]["content"]["application/json"]
    schema = {**described["schema"], "components": DESCRIPTION["components"]}
    jsonschema.validate(response.json(), schema)


@pytest.fixture
def simulator(people):
    groups = {FORM["data_group_id"]["example"]: people[:2]}
    cohorts = {12345: ["p1", "ghost"]}
    with EngageSimulator(profiles=people, groups=groups, cohorts=cohorts, page_size=2) as running:
        yield running


@pytest.mark.parametrize("name", sorted(FORM))
def test_documented_parameter_is_accepted(client, simulator, name):
    form = {name: FORM[name]["example"]}
    if name == "session_id":
        form["session_id"] = client.ask(simulator).json()["session_id"]
    if name == "include_all_users":
        form["filter_by_cohort"] = FORM["filter_by_cohort"]["example"]
    response = client.ask(simulator, **form)
    assert response.status_code == 200
    assert_valid(response)


def test_documented_parameters_of_the_url_are_accepted(client, simulator):
    response = client.send(simulator, "&".join(f"{name}={QUERY[name]}" for name in QUERY))
    assert response.status_code == 200
    assert_valid(response)


def test_every_page_is_valid(client, simulator):
    first = client.ask(simulator)
    assert_valid(first)
    for page in range(1, 4):
        answer = client.ask(simulator, page=page, session_id=first.json()["session_id"])
        assert answer.status_code == 200
        assert_valid(answer)


def test_ids_without_profile_and_numeric_ids_are_valid(client, simulator):
    assert_valid(client.ask(simulator, filter_by_cohort='{"id": 12345}'))
    simulator.set_profiles([{"$distinct_id": 4, "$properties": {}}])
    assert_valid(client.ask(simulator))


@pytest.mark.parametrize("form", [{"page": 1}, {"where": "("}, {"behaviors": "{}"}])
def test_errors_are_valid(client, simulator, form):
    response = client.ask(simulator, **form)
    assert response.status_code == 400
    assert_valid(response)
