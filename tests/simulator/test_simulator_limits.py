from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mixpanel_fetch.simulator import EngageSimulator, Fault

POLICY = '"project";q=60;w=3600, "project-concurrency";q=5;qu="concurrent-requests"'


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


def all_at_once(count, ask):
    answers = [None] * count

    def work(number):
        answers[number] = ask()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return answers


def test_sixth_query_at_once_is_refused(client):
    with EngageSimulator(profiles=3, latency=0.5) as simulator:
        answers = all_at_once(8, lambda: client.ask(simulator, page_size=1))
        stats = simulator.stats
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 3
    assert stats.max_in_flight >= 6
    assert stats.counted_queries == 5
    assert stats.statuses == {200: 5, 429: 3}
    for answer in refused:
        assert answer.json() == {
            "error": "Query rate limit exceeded for project_id: 12345. This request exceeded "
            "the concurrency limit (6/5 queries running concurrently)."
        }
        assert answer.headers["RateLimit-Policy"] == POLICY
        assert answer.headers["RateLimit"].endswith('"project-concurrency";r=0;t=10')
        assert answer.headers["Retry-After"] == "10"


def test_places_are_given_back(client):
    with EngageSimulator(profiles=3, concurrency_limit=1) as simulator:
        assert [client.ask(simulator).status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(("concurrent", "expected"), [(True, [200, 429]), (False, [200, 200])])
def test_session_pages_are_among_those_at_once_unless_switched_off(client, concurrent, expected):
    switches = {"concurrency_limit": 1, "session_pages_concurrent": concurrent}
    with EngageSimulator(profiles=3, page_latency={1: 0.4}, **switches) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        answers = all_at_once(2, lambda: client.ask(simulator, page=1, session_id=session_id))
    assert sorted(answer.status_code for answer in answers) == expected


def test_concurrency_limit_can_be_off(client):
    with EngageSimulator(profiles=3, concurrency_limit=None, latency=0.4) as simulator:
        answers = all_at_once(8, lambda: client.ask(simulator, page_size=1))
        assert {answer.status_code for answer in answers} == {200}
        assert 5 < simulator.stats.max_in_flight <= 8


def test_hourly_limit_counts_first_pages_only(client):
    with EngageSimulator(hourly_limit=2, profiles=10, page_size=2) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        for page in range(1, 5):
            assert client.ask(simulator, page=page, session_id=session_id).ok
        assert client.ask(simulator).ok
        refused = client.ask(simulator)
        assert simulator.stats.counted_queries == 2
        assert client.ask(simulator, page=1, session_id=session_id).ok
    assert refused.status_code == 429
    assert list(refused.json()) == ["request", "error"]
    assert refused.json()["request"].startswith(simulator_url(refused))
    assert refused.json()["error"].startswith(
        "Query rate limit exceeded for project_id: 12345. This request exceeded the rate limit "
        "(3/2 queries running in the last hour). For more information, "
    )
    assert refused.headers["RateLimit-Policy"].startswith('"project";q=2;w=3600, ')
    wait = refused.headers["Retry-After"]
    assert 3590 < int(wait) <= 3600
    assert refused.headers["RateLimit"] == f'"project";r=0;t={wait}, "project-concurrency";r=5'


def simulator_url(response):
    return response.url.split("?", 1)[0]


def test_hour_rolls(client):
    clock = Clock()
    with EngageSimulator(profiles=3, hourly_limit=1, clock=clock) as simulator:
        assert client.ask(simulator).ok
        clock.now += 3000
        refused = client.ask(simulator)
        assert refused.headers["Retry-After"] == "600"
        clock.now += 600
        assert client.ask(simulator).ok


def test_session_pages_can_count_too(client):
    with EngageSimulator(profiles=3, hourly_limit=2, count_session_pages=True) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        statuses = [
            client.ask(simulator, page=page, session_id=session_id).status_code for page in (1, 2)
        ]
    assert statuses == [200, 429]


def test_limits_of_zero_refuse_everything(client):
    with EngageSimulator(profiles=3, hourly_limit=0) as simulator:
        refused = client.ask(simulator)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
    with EngageSimulator(profiles=3, concurrency_limit=0) as simulator:
        assert "(1/0 queries" in client.ask(simulator).json()["error"]


def test_refusals_do_not_count_but_failures_do(client):
    faults = [Fault(0, kind) for kind in ("401", "402", "403", "429_hourly", "500")]
    with EngageSimulator(profiles=3, hourly_limit=1, faults=[*faults[:4]]) as simulator:
        for _ in range(2):
            client.ask(simulator, authorization="Bearer wrong")
        assert client.ask(simulator).status_code == 401
        simulator.set_faults([faults[4]])
        assert client.ask(simulator).status_code == 500
        assert client.ask(simulator).status_code == 429
        assert simulator.stats.counted_queries == 1


def test_headers_of_429s_can_be_left_out(client):
    with EngageSimulator(profiles=3, hourly_limit=0, rate_limit_headers=False) as simulator:
        refused = client.ask(simulator)
    assert refused.status_code == 429
    assert not {"ratelimit", "ratelimit-policy", "retry-after"} & {
        name.lower() for name in refused.headers
    }


def test_wait_of_the_concurrency_limit_can_be_set(client):
    with EngageSimulator(profiles=3, concurrency_limit=0, concurrency_retry_after=1) as simulator:
        refused = client.ask(simulator)
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"].endswith("r=0;t=1")


@pytest.mark.parametrize(("kind", "default"), [("429_hourly", "3600"), ("429_concurrency", "10")])
@pytest.mark.parametrize(
    "retry_after", [None, "2", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "99999999999", "soon", ""]
)
def test_scripted_429_has_the_retry_after_it_was_given(client, kind, default, retry_after):
    with EngageSimulator(profiles=3, faults=[Fault(0, kind, retry_after=retry_after)]) as simulator:
        refused = client.ask(simulator)
    assert refused.status_code == 429
    expected = default if retry_after is None else retry_after or None
    assert refused.headers.get("Retry-After") == expected
    seconds = expected if expected and expected.isdigit() else default
    assert f"r=0;t={seconds}" in refused.headers["RateLimit"]
    assert ("request" in refused.json()) == (kind == "429_hourly")


def test_load_shedding_has_no_numbers_and_no_headers(client):
    faults = [Fault(0, "429_load_shed"), Fault(0, "429_load_shed", after=1, retry_after="3")]
    with EngageSimulator(profiles=3, faults=faults) as simulator:
        refused, with_header = client.ask(simulator), client.ask(simulator)
    assert refused.status_code == 429
    assert refused.json()["error"].startswith("Query rate limit exceeded for project_id: 12345 ")
    assert "RateLimit" not in refused.headers
    assert "Retry-After" not in refused.headers
    assert with_header.headers["Retry-After"] == "3"


def test_session_pages_wait_for_each_other(client):
    with EngageSimulator(profiles=3, page_size=1, gather=2) as simulator:
        session_id = client.ask(simulator).json()["session_id"]
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(client.ask, simulator, page=1, session_id=session_id)
            while not simulator.stats.in_flight:
                time.sleep(0.001)
            two = client.ask(simulator, page=2, session_id=session_id)
        assert (one.result().status_code, two.status_code) == (200, 200)
        assert simulator.stats.max_in_flight == 2
        assert client.ask(simulator, page=2, session_id=session_id).status_code == 200


def test_latency_counts_from_the_request_and_differs_by_page(client, slowdown):
    with EngageSimulator(profiles=3, latency=0.3, page_latency={1: 0.0}) as simulator:
        started = time.monotonic()
        session_id = client.ask(simulator).json()["session_id"]
        between = time.monotonic()
        client.ask(simulator, page=1, session_id=session_id)
        ended = time.monotonic()
        first, second = simulator.stats.requests
    assert between - started >= 0.3
    assert ended - between < 0.3 * slowdown()
    assert first.finished - first.started >= 0.3
    assert started <= first.started <= second.started <= ended
