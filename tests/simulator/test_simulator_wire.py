from __future__ import annotations

import contextlib
import gc
import gzip
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from mixpanel_fetch.simulator import EngageSimulator, Fault

ACCOUNT = "Basic ZGVtbzpkZW1vLXNlY3JldA=="  # demo:demo-secret
TARGET = "/api/query/engage?project_id=12345"


def raw_exchange(simulator, text):
    """Send bytes as they are and read until the server closes."""
    port = int(simulator.base_url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(text.encode())
        with connection.makefile("rb") as answer:
            return answer.read()


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_keep_alive_serves_many_requests_on_one_connection(client):
    with EngageSimulator(profiles=3) as simulator:
        host = simulator.base_url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=5)
        ports = set()
        for _ in range(3):
            connection.request("POST", TARGET, headers={"Authorization": ACCOUNT})
            response = connection.getresponse()
            assert json.loads(response.read())["total"] == 3
            assert response.headers["Connection"] == "keep-alive"
            ports.add(connection.sock.getsockname())
        connection.close()
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("head", "connection"),
    [
        (f"POST {TARGET} HTTP/1.0", "close"),
        (f"POST {TARGET} HTTP/1.1\r\nConnection: close", "close"),
        (f"POST {TARGET} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0", "close"),
    ],
)
def test_connection_is_closed_if_the_client_wants(head, connection):
    with EngageSimulator(profiles=3) as simulator:
        answer = raw_exchange(simulator, f"{head}\r\nAuthorization: {ACCOUNT}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Connection: {connection}\r\n".encode() in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["total"] == 3


def test_http_1_0_can_keep_alive():
    with EngageSimulator(profiles=3) as simulator:
        first = (
            f"POST {TARGET} HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: {ACCOUNT}\r\n\r\n"
        )
        second = f"POST {TARGET} HTTP/1.0\r\nAuthorization: {ACCOUNT}\r\n\r\n"
        answer = raw_exchange(simulator, first + second)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"Connection: keep-alive" in answer


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: many", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 99999999999", 413),
    ],
)
@pytest.mark.parametrize("target", [TARGET, "/_simulator/reset"])
def test_body_of_unknown_length_is_refused(header, status, target):
    with EngageSimulator(profiles=3) as simulator:
        answer = raw_exchange(
            simulator, f"POST {target} HTTP/1.1\r\nAuthorization: {ACCOUNT}\r\n{header}\r\n\r\n"
        )
        assert simulator.stats.in_flight == 0
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("path", ["/", "/api/query/engage/stats", "/api/query/engage/"])
def test_unknown_path_is_a_json_404(client, path):
    with EngageSimulator(profiles=3) as simulator:
        response = client.ask(simulator, path=path)
    assert response.status_code == 404
    assert set(response.json()) == {"request", "error"}


def test_documented_path_takes_post_only(client):
    with EngageSimulator(profiles=3) as simulator:
        response = client._session.get(simulator.base_url + TARGET, timeout=5)
    assert response.status_code == 405


@pytest.mark.parametrize(
    ("accept", "zipped"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False)],
)
def test_gzip_for_those_who_accept_it(accept, zipped):
    with EngageSimulator(profiles=3, gzip=True) as simulator:
        answer = raw_exchange(
            simulator,
            f"POST {TARGET} HTTP/1.0\r\nAuthorization: {ACCOUNT}\r\n"
            f"Accept-Encoding: {accept}\r\n\r\n",
        )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) == zipped
    assert json.loads(gzip.decompress(body) if zipped else body)["total"] == 3


def test_no_gzip_unless_switched_on(client):
    with EngageSimulator(profiles=3) as simulator:
        assert "Content-Encoding" not in client.ask(simulator).headers


def test_tls_with_the_ca_bundle(client):
    with EngageSimulator(tls=True, profiles=30, page_size=10) as simulator:
        assert simulator.base_url.startswith("https://127.0.0.1:")
        assert len(client.ids(simulator)) == 30
        bundle = simulator.ca_bundle
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=bundle)


def test_tls_is_refused_without_the_ca_bundle(client):
    with EngageSimulator(tls=True, profiles=3) as simulator:
        with pytest.raises(requests.exceptions.SSLError):
            client._session.post(simulator.base_url + TARGET, timeout=5)
        assert client.ask(simulator).ok


def test_tls_server_survives_what_is_no_tls(client):
    with EngageSimulator(tls=True, profiles=3) as simulator:
        with contextlib.suppress(ConnectionResetError):
            raw_exchange(simulator, "GET / HTTP/1.0\r\n\r\n")
        assert client.ask(simulator).ok


def test_tls_without_trustme_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    simulator = EngageSimulator(profiles=3, tls=True)
    with pytest.raises(RuntimeError, match=r"install mixpanel-fetch\[simulator-tls\]"):
        simulator.start()
    simulator.stop()


def test_no_ca_bundle_without_tls():
    with EngageSimulator(profiles=3) as simulator:
        assert simulator.ca_bundle is None


def test_requests_in_flight_are_counted_exactly(client):
    with EngageSimulator(profiles=3, faults=[Fault(0, "hang", times=3)]) as simulator:
        threads = [threading.Thread(target=hang, args=(simulator,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: simulator.stats.in_flight == 3)
        assert simulator.stats.requests == ()
        assert client.ask(simulator).ok
        stats = simulator.stats
        assert (stats.in_flight, stats.max_in_flight, stats.received) == (3, 4, 4)
        simulator.stop()
        for thread in threads:
            thread.join(5)
        assert simulator.stats.in_flight == 0
        assert simulator.stats.max_in_flight == 4


def hang(simulator):
    with contextlib.suppress(requests.RequestException):
        requests.post(
            simulator.base_url + TARGET,
            headers={"Authorization": ACCOUNT},
            timeout=5,
            verify=simulator.ca_bundle or True,
        )


def test_whoever_has_an_answer_is_counted_and_not_in_flight(client):
    with EngageSimulator(profiles=3) as simulator:
        for number in range(1, 30):
            client.ask(simulator)
            stats = simulator.stats
            assert (stats.in_flight, len(stats.requests)) == (0, number)
        assert stats.max_in_flight == 1
        assert stats.pages == {0: 29}


def test_request_is_in_flight_before_its_body_is_in():
    with EngageSimulator(profiles=3) as simulator:
        port = int(simulator.base_url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"POST {TARGET} HTTP/1.1\r\nContent-Length: 5\r\n\r\n".encode())
            wait_until(lambda: simulator.stats.in_flight == 1)
        wait_until(lambda: simulator.stats.in_flight == 0)


def test_client_that_goes_away_harms_nobody(client, capfd):
    with EngageSimulator(profiles=20_000, page_size=20_000) as simulator:
        port = int(simulator.base_url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            request = f"POST {TARGET} HTTP/1.1\r\nAuthorization: {ACCOUNT}\r\n\r\n"
            connection.sendall(request.encode())
            connection.recv(10)
        wait_until(lambda: simulator.stats.in_flight == 0)
        assert client.ask(simulator, page_size=1).ok
        assert len(simulator.stats.requests) == 2
    assert capfd.readouterr().err == ""


def test_defect_of_the_simulator_is_reported_and_survived(client, capfd):
    with EngageSimulator(profiles=[object()], concurrency_limit=1) as simulator:
        with pytest.raises(requests.ConnectionError):
            client.ask(simulator)
        assert client.ask(simulator, page_size=0).ok
        assert simulator.stats.in_flight == 0
    assert "Traceback" in capfd.readouterr().err


def test_records_tell_what_was_asked(client):
    with EngageSimulator(profiles=3, faults=[Fault(0, "500")]) as simulator:
        client.ask(simulator, where="NOW > 1", headers={"X-Trace": "7"})
        session_id = client.ask(simulator).json()["session_id"]
        client.ask(simulator, page=1, session_id=session_id)
        client.ask(simulator, page="x")
        stats = simulator.stats
    first, second, third, fourth = stats.requests
    assert [record.index for record in stats.requests] == [0, 1, 2, 3]
    assert (first.method, first.path, first.status, first.fault) == (
        "POST",
        "/api/query/engage",
        500,
        "500",
    )
    assert first.form == {"where": "NOW > 1"}
    assert first.query == {"project_id": "12345"}
    assert first.headers["x-trace"] == "7"
    assert (first.page, first.session_id, first.counted) == (0, None, True)
    assert (second.status, second.fault) == (200, None)
    assert (third.page, third.session_id, third.counted) == (1, session_id, False)
    assert (fourth.page, fourth.status) == (None, 400)
    assert first.started < first.finished < second.started
    assert stats.pages == {0: 2, 1: 1}
    assert stats.counted_queries == 3


def test_reset_forgets_all_but_what_is_in_flight(client):
    with EngageSimulator(profiles=3, faults=[Fault(0, "hang", seconds=0.3)]) as simulator:
        thread = threading.Thread(target=hang, args=(simulator,))
        thread.start()
        wait_until(lambda: simulator.stats.in_flight == 1)
        client.ask(simulator)
        simulator.reset_stats()
        stats = simulator.stats
        assert (stats.received, stats.in_flight, stats.max_in_flight) == (0, 1, 1)
        thread.join(5)
        stats = simulator.stats
        assert (stats.requests, stats.in_flight, stats.faults) == ((), 0, {})


def test_stop_is_prompt_whatever_clients_do(client, slowdown):
    before = threading.active_count()
    simulator = EngageSimulator(
        profiles=3, faults=[Fault(0, "hang", times=2), Fault(0, "slow", seconds=60)]
    )
    simulator.start()
    port = int(simulator.base_url.rsplit(":", 1)[1])
    idle = socket.create_connection(("127.0.0.1", port))
    threads = [threading.Thread(target=hang, args=(simulator,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: simulator.stats.in_flight == 3)
    started = time.monotonic()
    simulator.stop()
    assert time.monotonic() - started < 1 * slowdown()
    for thread in threads:
        thread.join(5)
    idle.close()
    assert threading.active_count() == before
    simulator.stop()


def test_stop_breaks_idle_tls_connections(client, slowdown):
    with EngageSimulator(tls=True, profiles=3) as simulator:
        client.ask(simulator)
        port = int(simulator.base_url.rsplit(":", 1)[1])
        silent = socket.create_connection(("127.0.0.1", port))
        started = time.monotonic()
    assert time.monotonic() - started < 1 * slowdown()
    silent.close()


@pytest.mark.parametrize("tls", [False, True])
def test_no_descriptor_is_left(client, tls):
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for kind in ("hang", "reset", "truncate"):
        with EngageSimulator(tls=tls, profiles=3, faults=[Fault(0, kind)]) as simulator:
            port = int(simulator.base_url.rsplit(":", 1)[1])
            thread = threading.Thread(target=hang, args=(simulator,))
            thread.start()
            socket.create_connection(("127.0.0.1", port)).close()
            wait_until(lambda: simulator.stats.in_flight == 1 or simulator.stats.requests)
        thread.join(5)
    gc.collect()  # the client's sockets, kept by the tracebacks of its errors
    assert len(list(descriptors.iterdir())) <= before


def test_five_clients_that_open_new_connections_are_never_too_many():
    with EngageSimulator(profiles=3) as simulator:
        statuses = []
        threads = [
            threading.Thread(target=ask_on_new_connections, args=(simulator, 40, statuses))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert statuses == [200] * 200
        assert simulator.stats.max_in_flight <= 5


def ask_on_new_connections(simulator, times, statuses):
    host = simulator.base_url.removeprefix("http://")
    for _ in range(times):
        with contextlib.closing(http.client.HTTPConnection(host, timeout=5)) as connection:
            connection.request("POST", TARGET, headers={"Authorization": ACCOUNT})
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)


def test_can_be_started_again(client):
    simulator = EngageSimulator(profiles=3)
    with pytest.raises(RuntimeError, match="not running"):
        _ = simulator.base_url
    for _ in range(2):
        with simulator:
            assert client.ask(simulator).ok
            with pytest.raises(RuntimeError, match="already"):
                simulator.start()
    assert simulator.stats.received == 2


def test_port_can_be_chosen(client):
    with EngageSimulator(profiles=3) as first:
        port = int(first.base_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            EngageSimulator(profiles=3, port=port).start()
    with EngageSimulator(profiles=3, port=port) as second:
        assert second.base_url == f"http://127.0.0.1:{port}"


def test_importing_the_simulator_is_light():
    program = (
        "import sys; import mixpanel_fetch.simulator;"
        "print([m for m in ('requests', 'gevent', 'duckdb', 'trustme') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
