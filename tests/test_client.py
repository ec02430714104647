"""MixpanelAPIClient.query_engage_page, to the letter of its contract."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest

from mixpanel_fetch import (
    AuthenticationError,
    ConfigError,
    MixpanelAPIClient,
    PaymentRequiredError,
    QueryError,
    RateLimitError,
    ServerError,
    SessionExpiredError,
    TransportError,
)
from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.model import Credentials
from mixpanel_fetch.simulator import Fault


def test_the_signature_is_the_contracts():
    parameters = inspect.signature(MixpanelAPIClient.query_engage_page).parameters
    assert list(parameters)[:6] == [
        "self",
        "page",
        "session_id",
        "where",
        "cohort_id",
        "output_properties",
    ]
    assert parameters["page"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    rest = list(parameters.values())[2:]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is None for p in rest)


def test_page_0_opens_a_session_that_later_pages_use(engage_simulator, client_of):
    client = client_of(engage_simulator(profiles=25, page_size=10))
    first = client.query_engage_page(0)
    assert set(first) == {"results", "total", "page_size", "page", "session_id"}
    assert (first["total"], first["page_size"], first["page"]) == (25, 10, 0)
    assert set(first["results"][0]) == {"$distinct_id", "$properties"}
    last = client.query_engage_page(2, session_id=first["session_id"])
    assert (len(last["results"]), last["page"], last["total"]) == (5, 2, None)


def test_the_request_is_what_mixpanel_documents(engage_simulator, client_of):
    simulator = engage_simulator(profiles=25, cohorts={77: ["nobody"]})
    client = client_of(simulator, workspace_id=9)
    client.query_engage_page(
        0, where='properties["plan"] == "pro"', output_properties=["$email", "plan"], page_size=50
    )
    client.query_engage_page(0, cohort_id="77")
    filtered, cohort = simulator.stats.requests
    assert filtered.query == {"project_id": "12345", "workspace_id": "9"}
    assert filtered.form["where"] == 'properties["plan"] == "pro"'
    assert json.loads(filtered.form["output_properties"]) == ["$email", "plan"]
    assert filtered.form["page_size"] == "50"
    assert "include_all_users" not in filtered.form
    assert json.loads(cohort.form["filter_by_cohort"]) == {"id": 77}
    assert cohort.form["include_all_users"] == "false"
    assert filtered.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "gzip" in filtered.headers["accept-encoding"]


def test_by_default_no_page_size_is_sent(engage_simulator, client_of):
    simulator = engage_simulator()
    client_of(simulator).query_engage_page(0)
    assert "page_size" not in simulator.stats.requests[0].form


def test_a_project_secret_stands_alone(engage_simulator):
    simulator = engage_simulator(api_secret="old-secret")
    client = MixpanelAPIClient(api_secret="old-secret", base_url=simulator.base_url)
    assert client.query_engage_page(0)["total"] == 1000
    assert simulator.stats.requests[0].query == {}


@pytest.mark.parametrize(
    ("switches", "error", "code"),
    [
        ({"secret": "another"}, AuthenticationError, 2),
        ({"secret": "another", "auth_failure_status": 400}, AuthenticationError, 2),
        ({"forbidden": True}, AuthenticationError, 2),
        ({"payment_required": True}, PaymentRequiredError, 2),
        ({"hourly_limit": 0}, RateLimitError, 1),
        ({"faults": [Fault(0, "429_load_shed", times=None)]}, RateLimitError, 1),
        ({"faults": [Fault(0, "503", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "html", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "bad_json", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "not_object", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "missing_field", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "wrong_type", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "404", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "redirect", times=None)]}, ServerError, 1),
        ({"faults": [Fault(0, "reset", times=None)]}, TransportError, 1),
        ({"faults": [Fault(0, "expired_session", times=None)]}, SessionExpiredError, 1),
    ],
)
def test_every_failure_has_its_exception(engage_simulator, client_of, switches, error, code):
    simulator = engage_simulator(**switches)
    client = client_of(simulator, max_retries=0)
    with pytest.raises(error) as caught:
        client.query_engage_page(0)
    assert caught.value.exit_code == code
    assert "demo-secret" not in repr(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_expression_is_a_query_error(engage_simulator, client_of):
    with pytest.raises(QueryError, match="400"):
        client_of(engage_simulator()).query_engage_page(0, where="properties[")


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "reset", "truncate", "bad_json"])
def test_a_transient_fault_is_tried_again(engage_simulator, client_of, kind):
    simulator = engage_simulator(faults=[Fault(0, kind)])
    assert client_of(simulator).query_engage_page(0)["total"] == 1000
    assert len(simulator.stats.requests) == 2


@pytest.mark.parametrize("kind", ["400", "401", "402", "403"])
def test_a_refusal_is_not_tried_again(engage_simulator, client_of, kind):
    simulator = engage_simulator(faults=[Fault(0, kind)])
    with pytest.raises((AuthenticationError, PaymentRequiredError, QueryError)):
        client_of(simulator).query_engage_page(0)
    assert len(simulator.stats.requests) == 1


def test_a_short_quota_wait_is_waited_for(engage_simulator, client_of):
    simulator = engage_simulator(faults=[Fault(0, "429_hourly", retry_after="1")])
    assert client_of(simulator, max_retries=0).query_engage_page(0)["total"] == 1000


def test_a_long_quota_wait_fails_at_once_and_says_when_to_come_back(engage_simulator, client_of):
    simulator = engage_simulator(faults=[Fault(0, "429_hourly", retry_after="1800", times=None)])
    with pytest.raises(RateLimitError, match="30 min") as caught:
        client_of(simulator, max_wait=5).query_engage_page(0)
    assert caught.value.retry_after == 1800
    assert len(simulator.stats.requests) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"page": -1},
        {"page": 1},
        {"page": 0, "where": " "},
        {"page": 0, "cohort_id": "abc"},
        {"page": 0, "output_properties": []},
    ],
)
def test_what_cannot_be_asked_costs_no_request(engage_simulator, client_of, arguments):
    simulator = engage_simulator()
    with pytest.raises(ConfigError):
        client_of(simulator).query_engage_page(**arguments)
    assert len(simulator.stats.requests) == 0


@pytest.mark.parametrize(
    ("region", "host"),
    [("us", "mixpanel.com"), ("eu", "eu.mixpanel.com"), ("in", "in.mixpanel.com")],
)
def test_each_region_has_its_host(region, host):
    settings = ClientSettings(Credentials("u", "s", "1", region))
    assert settings.origin == f"https://{host}"


@pytest.mark.parametrize(
    "base_url", ["ftp://example.com", "example.com", "http://", "file:///etc/passwd"]
)
def test_a_base_url_that_is_none_is_refused(base_url):
    with pytest.raises(ConfigError, match="base URL"):
        MixpanelAPIClient(username="u", secret="s", project_id=1, base_url=base_url)


def test_settings_show_no_secret_and_travel(engage_simulator):
    settings = ClientSettings(Credentials("u", "hunter2", "1"))
    assert "hunter2" not in repr(settings)
    assert pickle.loads(pickle.dumps(settings)).auth == ("u", "hunter2")


def test_at_least_one_request_may_be_in_flight():
    with pytest.raises(ConfigError, match="max_concurrency"):
        MixpanelAPIClient(username="u", secret="s", project_id=1, max_concurrency=0)
