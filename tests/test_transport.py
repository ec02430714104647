"""The cooperative transport, against real servers on loopback."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path

import gevent
import gevent.pool
import pytest
from gevent._hub_local import get_hub_if_exists

from mixpanel_fetch.errors import ConfigError, TransportError
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.transport import HubLease, Transport

PATH = "/api/query/engage"


def post(transport, simulator, page="0", auth=("demo", "demo-secret")):
    return transport.post(
        simulator.base_url + PATH, params={"project_id": "12345"}, form={"page": page}, auth=auth
    )


def open_transport(**changes):
    return Transport(**{"connect_timeout": 2.0, "read_timeout": 5.0, **changes})


def fetch_all(transport, simulator, count=20, workers=5):
    started = time.monotonic()
    pool = gevent.pool.Pool(workers)
    answers = list(pool.imap_unordered(lambda _: post(transport, simulator).status, range(count)))
    return answers, time.monotonic() - started


@pytest.mark.parametrize("tls", [False, True])
def test_requests_of_greenlets_overlap(engage_simulator, slowdown, tls):
    simulator = engage_simulator(profiles=10, latency=0.5, tls=tls)
    with open_transport(verify=simulator.ca_bundle) as transport:
        answers, seconds = fetch_all(transport, simulator)
    assert answers == [200] * 20
    assert simulator.stats.max_in_flight == 5
    assert seconds < 20 * 0.5 * 0.75 * slowdown()  # one after the other would take 10 s and more


def test_no_process_wide_module_is_patched(engage_simulator):
    simulator = engage_simulator(profiles=10)
    import socket
    import ssl

    before = (socket.socket, socket.create_connection, ssl.SSLContext, threading.Lock, time.sleep)
    with open_transport() as transport:
        post(transport, simulator)
    after = (socket.socket, socket.create_connection, ssl.SSLContext, threading.Lock, time.sleep)
    assert after == before


def test_an_unknown_ca_is_refused_in_one_line(engage_simulator):
    simulator = engage_simulator(tls=True)
    with open_transport() as transport, pytest.raises(TransportError) as caught:
        post(transport, simulator)
    assert "not trusted" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not caught.value.transient


def test_the_ca_bundle_of_the_environment_counts(engage_simulator, monkeypatch):
    simulator = engage_simulator(tls=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", simulator.ca_bundle)
    with open_transport() as transport:
        assert post(transport, simulator).status == 200


def test_a_given_ca_bundle_beats_the_environment(engage_simulator, monkeypatch, tmp_path):
    simulator = engage_simulator(tls=True)
    other = engage_simulator(tls=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other.ca_bundle)
    with open_transport(verify=simulator.ca_bundle) as transport:
        assert post(transport, simulator).status == 200


def test_a_missing_ca_bundle_is_a_setting_that_is_wrong(engage_simulator, monkeypatch, tmp_path):
    simulator = engage_simulator(tls=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with open_transport() as transport, pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        post(transport, simulator)


def test_the_environment_can_be_left_out(engage_simulator, monkeypatch):
    simulator = engage_simulator()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with open_transport(trust_environment=False) as transport:
        assert post(transport, simulator).status == 200


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("reset", "no whole answer"),
        ("close", "no whole answer"),
        ("truncate", "no whole answer"),
        ("reset_midway", "no whole answer"),
        ("bad_gzip", "no whole answer"),
        ("hang", "did not answer in time"),
    ],
)
def test_what_goes_wrong_on_the_wire_is_one_line(engage_simulator, kind, words):
    simulator = engage_simulator(faults=[Fault(0, kind)])
    with open_transport(read_timeout=0.5) as transport, pytest.raises(TransportError) as caught:
        post(transport, simulator)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.transient


def test_a_refused_connection_and_an_unknown_host_are_told_apart():
    with open_transport() as transport:
        with pytest.raises(TransportError, match=r"127\.0\.0\.1:9.*refused"):
            transport.post("http://127.0.0.1:9/", params={}, form={}, auth=("a", "b"))
        with pytest.raises(TransportError, match="cannot find the host"):
            transport.post("http://nowhere.invalid/", params={}, form={}, auth=("a", "b"))


def test_no_error_carries_credentials(engage_simulator):
    with open_transport() as transport, pytest.raises(TransportError) as caught:
        transport.post(
            "http://user:hunter2@127.0.0.1:9/", params={}, form={}, auth=("user", "hunter2")
        )
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # it would hold the request, headers and all


def test_a_redirect_is_not_followed(engage_simulator):
    elsewhere = engage_simulator()
    simulator = engage_simulator(faults=[Fault(0, "redirect", location=elsewhere.base_url + PATH)])
    with open_transport() as transport:
        assert post(transport, simulator).status == 302
    assert elsewhere.stats.requests == () or len(elsewhere.stats.requests) == 0


def test_gzip_is_asked_for_and_decoded(engage_simulator):
    simulator = engage_simulator(gzip=True)
    with open_transport() as transport:
        assert post(transport, simulator).body.startswith(b"{")


def in_thread(function):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()))
    thread.start()
    thread.join()
    return outcome[0]


def test_a_foreign_thread_takes_a_blocking_session_and_no_hub(engage_simulator):
    simulator = engage_simulator()

    def ask():
        return post(transport, simulator).status, get_hub_if_exists()

    with open_transport() as transport:
        assert in_thread(ask) == (200, None)


def test_runs_in_threads_leak_neither_descriptors_nor_threads(engage_simulator):
    simulator = engage_simulator(profiles=10)

    def run_once():
        with open_transport() as transport:
            fetch_all(transport, simulator, count=5)
        return get_hub_if_exists()

    assert in_thread(run_once) is None
    settle(simulator)
    before = (open_descriptors(), threading.active_count())
    for _ in range(5):
        in_thread(run_once)
    settle(simulator)
    after = (open_descriptors(), threading.active_count())
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]


def test_a_run_leaves_no_hub_and_none_of_its_objects(engage_simulator):
    simulator = engage_simulator(profiles=10)

    def run_once():
        with open_transport() as transport:
            fetch_all(transport, simulator, count=5)
            return weakref.ref(gevent.get_hub()), weakref.ref(transport)

    left = in_thread(run_once)
    gc.collect()
    assert [reference() for reference in left] == [None, None]


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def settle(simulator):
    """Wait until the server has seen its connections close."""
    for _ in range(50):
        if threading.active_count() <= 2:
            return
        time.sleep(0.02)


def test_a_hub_that_was_there_stays():
    def host_with_a_hub():
        hub = gevent.get_hub()
        with HubLease() as lease:
            assert lease.is_current()
        gevent.sleep(0)
        kept = get_hub_if_exists() is hub
        hub.destroy()
        return kept

    assert in_thread(host_with_a_hub)
