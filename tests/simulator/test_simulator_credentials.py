from __future__ import annotations

import base64

import pytest

from mixpanel_fetch.simulator import EngageSimulator


def basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    "authorization", [basic("demo:demo-secret"), "Basic demo:demo-secret", "basic demo:demo-secret"]
)
def test_service_account_passes_encoded_and_plain(client, authorization):
    with EngageSimulator(profiles=3) as simulator:
        assert client.ask(simulator, authorization=authorization).ok


@pytest.mark.parametrize(
    "authorization",
    [basic("demo:wrong"), basic("demo-secret:"), "Basic !!!", "Bearer token", "", "Basic /w=="],
)
def test_wrong_credentials_are_a_401(client, authorization):
    with EngageSimulator(profiles=3) as simulator:
        response = client.ask(simulator, authorization=authorization)
    assert response.status_code == 401
    assert response.json() == {
        "code": 401,
        "error": "Invalid credentials",
        "status": "Unauthorized",
    }


def test_wrong_credentials_can_be_a_400(client):
    with EngageSimulator(profiles=3, auth_failure_status=400) as simulator:
        response = client.ask(simulator, authorization=basic("demo:wrong"))
    assert response.status_code == 400
    assert "Unable to authenticate request" in response.json()["error"]


@pytest.mark.parametrize("pair", ["project-secret:", "project-secret"])
@pytest.mark.parametrize("project_id", [None, 12345])
def test_project_secret_needs_no_project_id(client, pair, project_id):
    with EngageSimulator(profiles=3, api_secret="project-secret") as simulator:
        assert client.ask(simulator, authorization=basic(pair), project_id=project_id).ok
        assert client.ask(simulator).ok


def test_service_account_needs_a_project_id(client):
    with EngageSimulator(profiles=3) as simulator:
        assert client.ask(simulator, project_id=None).status_code == 401


def test_project_id_in_the_body_counts(client):
    with EngageSimulator(profiles=3) as simulator:
        assert client.send(simulator, "project_id=999", data={"project_id": "12345"}).ok


@pytest.mark.parametrize("project_id", ["3f9a6b0c8d", "12345 or 1", "-5", "1" * 40])
def test_project_id_must_be_a_number(client, project_id):
    with EngageSimulator(profiles=3) as simulator:
        response = client.ask(simulator, project_id=project_id)
    assert response.status_code == 400
    assert "project_id" in response.json()["error"]


def test_other_project_is_forbidden(client):
    with EngageSimulator(profiles=3) as simulator:
        assert client.ask(simulator, project_id=54321).status_code == 403


def test_oauth_token(client):
    with EngageSimulator(profiles=3, bearer_token="token") as simulator:
        assert client.ask(simulator, authorization="Bearer token").ok
        assert client.ask(simulator, authorization="Bearer other").status_code == 401
        assert (
            client.ask(simulator, authorization="Bearer token", project_id=None).status_code == 401
        )


def test_plan_without_query_api_is_a_402(client):
    with EngageSimulator(profiles=3, payment_required=True) as simulator:
        response = client.ask(simulator)
    assert response.status_code == 402
    assert response.json()["error"] == (
        "Your account is blocked because payment is required. "
        "Please contact support via https://mixpanel.com/get-support"
    )


def test_forbidden(client):
    with EngageSimulator(profiles=3, forbidden=True) as simulator:
        assert client.ask(simulator).status_code == 403


def test_credentials_are_not_kept(client):
    with EngageSimulator(profiles=3) as simulator:
        client.ask(simulator)
        client.ask(simulator, authorization="Bearer hidden")
        first, second = simulator.stats.requests
    assert first.headers["authorization"] == "Basic ***"
    assert second.headers["authorization"] == "Bearer ***"
    assert "hidden" not in repr(second)
