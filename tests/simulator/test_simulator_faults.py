from __future__ import annotations

import json
import time

import pytest
import requests

from mixpanel_fetch.simulator import FAULT_KINDS, EngageSimulator, Fault


def second_page(client, simulator, **form):
    """Ask for page 1 of ten rows a page, fault or no fault."""
    session_id = client.ask(simulator).json()["session_id"]
    return client.ask(simulator, page=1, session_id=session_id, **form)


@pytest.fixture
def make():
    def make_simulator(*faults, **changes):
        return EngageSimulator(profiles=35, page_size=10, faults=faults, **changes)

    return make_simulator


@pytest.mark.parametrize("kind", ["400", "401", "402", "403", "404", "500", "502", "503", "504"])
def test_status_kinds(client, make, kind):
    with make(Fault(1, kind)) as simulator:
        response = second_page(client, simulator)
        assert second_page(client, simulator).ok
        assert simulator.stats.faults == {kind: 1}
    assert response.status_code == int(kind)
    assert isinstance(response.json()["error"], str)


def test_any_status(client, make):
    with make(Fault(0, "status", status=599), Fault(0, "status", after=1, status=418)) as simulator:
        assert client.ask(simulator).status_code == 599
        assert client.ask(simulator).status_code == 418


def test_retry_after_with_a_server_error(client, make):
    with make(Fault(0, "503", retry_after="7")) as simulator:
        assert client.ask(simulator).headers["Retry-After"] == "7"


def test_expired_session(client, make):
    with make(Fault(1, "expired_session")) as simulator:
        response = second_page(client, simulator)
    assert response.status_code == 400
    assert response.json()["error"] == "request for page in uncached query for params"


def test_html(client, make):
    with make(Fault(1, "html")) as simulator:
        response = second_page(client, simulator)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()


def test_redirect(client, make):
    with make(Fault(0, "redirect", location="http://127.0.0.1:1/x"), Fault(1, "redirect")) as sim:
        assert client.ask(sim).headers["Location"] == "http://127.0.0.1:1/x"
        response = second_page(client, sim)
    assert response.status_code == 302
    assert response.headers["Location"] == response.url


def test_bad_json(client, make):
    with make(Fault(1, "bad_json")) as simulator:
        response = second_page(client, simulator)
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        json.loads(response.content)


def test_not_object(client, make):
    with make(Fault(1, "not_object")) as simulator:
        assert isinstance(second_page(client, simulator).json(), list)


def test_bad_gzip(client, make):
    with make(Fault(0, "bad_gzip")) as simulator, pytest.raises(requests.RequestException):
        client.ask(simulator)


@pytest.mark.parametrize("zipped", [False, True])
def test_bomb_unfolds_to_a_good_answer_and_a_lot_of_blanks(client, make, zipped):
    with make(Fault(1, "bomb", size=3_000_000), gzip=zipped) as simulator:
        response = second_page(client, simulator)
    assert int(response.headers["Content-Length"]) < 20_000
    assert len(response.content) > 3_000_000
    assert len(response.json()["results"]) == 10


def test_empty(client, make):
    with make(Fault(1, "empty")) as simulator:
        answer = second_page(client, simulator).json()
    assert (answer["page"], answer["results"]) == (1, [])


@pytest.mark.parametrize(("rows", "left"), [(1, 9), (3, 7), (99, 0)])
def test_short(client, make, rows, left):
    with make(Fault(1, "short", rows=rows)) as simulator:
        answer = second_page(client, simulator).json()
        whole = second_page(client, simulator).json()
    assert answer["results"] == whole["results"][:left]


def test_wrong_page(client, make):
    with make(Fault(1, "wrong_page")) as simulator:
        answer = second_page(client, simulator).json()
        session_id = answer["session_id"]
        third = client.ask(simulator, page=2, session_id=session_id).json()
    assert answer["page"] == 2
    assert answer["results"] == third["results"]


def test_duplicates_repeat_rows_of_the_page_before(client, make):
    with make(Fault(1, "duplicates", rows=3), Fault(0, "duplicates", after=2)) as simulator:
        first = client.ask(simulator).json()
        page = {"page": 1, "session_id": first["session_id"]}
        repeated = client.ask(simulator, **page).json()["results"]
        whole = client.ask(simulator, **page).json()["results"]
        assert repeated == first["results"][:3] + whole[3:]
        client.ask(simulator)
        doubled = client.ask(simulator).json()["results"]
    assert doubled == first["results"][:1] + first["results"][:9]


@pytest.mark.parametrize("field", ["results", "session_id", "page", "page_size", "total", "status"])
def test_missing_field_and_wrong_type(client, make, field):
    faults = [Fault(0, "missing_field", field=field), Fault(0, "wrong_type", field=field, after=1)]
    with make(*faults) as simulator:
        missing, wrong, good = (client.ask(simulator).json() for _ in range(3))
    assert field not in missing
    assert type(wrong[field]) is not type(good[field])


def test_wrong_type_of_a_field_that_is_not_there(client, make):
    with make(Fault(0, "wrong_type", field="nothing")) as simulator:
        assert client.ask(simulator).json()["total"] == 35


def test_big(client, make):
    with make(Fault(1, "big", size=3_000_000)) as simulator:
        response = second_page(client, simulator)
    assert len(response.content) > 3_000_000
    assert len(response.json()["results"]) == 10


def test_slow(client, make):
    with make(Fault(1, "slow", seconds=0.2)) as simulator:
        response = second_page(client, simulator)
    assert response.ok
    assert response.elapsed.total_seconds() >= 0.2


def test_slow_takes_a_second_unless_told(make, client):
    with make(Fault(0, "slow")) as simulator, pytest.raises(requests.Timeout):
        client.send(simulator, timeout=0.1)


def test_drip(client, make):
    with make(Fault(1, "drip", seconds=0.2)) as simulator:
        started = time.monotonic()
        answer = second_page(client, simulator).json()
        assert time.monotonic() - started >= 0.15
        assert second_page(client, simulator).json()["results"] == answer["results"]


def test_hang_ends_with_a_closed_connection(client, make):
    with make(Fault(1, "hang", seconds=0.1)) as simulator:
        with pytest.raises(requests.ConnectionError, match="without response"):
            second_page(client, simulator)
        assert simulator.stats.requests[-1].status is None


def test_close(client, make):
    with make(Fault(1, "close")) as simulator:
        with pytest.raises(requests.ConnectionError, match="without response"):
            second_page(client, simulator)
        assert second_page(client, simulator).ok


def test_reset(client, make):
    with make(Fault(1, "reset")) as simulator:
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            second_page(client, simulator)
        record = simulator.stats.requests[-1]
    assert (record.page, record.status, record.fault) == (1, None, "reset")


@pytest.mark.parametrize("kind", ["truncate", "reset_midway"])
def test_body_that_ends_too_soon(client, make, kind):
    with make(Fault(1, kind)) as simulator:
        with pytest.raises(requests.RequestException):
            second_page(client, simulator)
        assert simulator.stats.requests[-1].status == 200
        assert second_page(client, simulator).ok


@pytest.mark.parametrize("kind", ["reset", "truncate", "close", "reset_midway"])
def test_broken_connections_over_tls(client, make, kind):
    with make(Fault(1, kind), tls=True) as simulator:
        with pytest.raises(requests.RequestException):
            second_page(client, simulator)
        assert second_page(client, simulator).ok


def test_fault_spares_and_strikes_as_often_as_told(client, make):
    with make(Fault(0, "500", times=2, after=1)) as simulator:
        statuses = [client.ask(simulator).status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]


def test_fault_for_ever(client, make):
    with make(Fault(0, "500", times=None)) as simulator:
        assert {client.ask(simulator).status_code for _ in range(5)} == {500}
        simulator.set_faults([])
        assert client.ask(simulator).ok


def test_fault_on_any_page_strikes_once_or_once_a_page(client, make):
    with make(Fault(None, "500")) as simulator:
        assert [client.ask(simulator).status_code for _ in range(2)] == [500, 200]
    with make(Fault(None, "500", per_page=True)) as simulator:
        assert [client.ask(simulator).status_code for _ in range(2)] == [500, 200]
        assert second_page(client, simulator).status_code == 500
        assert second_page(client, simulator).ok


def test_first_due_of_several_faults_strikes(client, make):
    with make(Fault(0, "500"), Fault(0, "503"), Fault(0, "502", after=2)) as simulator:
        statuses = [client.ask(simulator).status_code for _ in range(4)]
    assert statuses == [500, 503, 502, 200]


def test_unauthorized_requests_meet_no_fault(client, make):
    with make(Fault(0, "500")) as simulator:
        assert client.ask(simulator, authorization="").status_code == 401
        assert client.ask(simulator).status_code == 500


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "teapot"},
        {"kind": "status"},
        {"kind": "500", "after": -1},
        {"kind": "500", "times": -1},
    ],
)
def test_impossible_faults_are_refused(fields):
    with pytest.raises(ValueError, match="fault"):
        Fault(page=0, **fields)


def test_every_kind_can_be_made():
    for kind in FAULT_KINDS:
        assert Fault(0, kind, status=500).kind == kind
