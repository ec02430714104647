"""What the workers of a cluster fetch together, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import dask
import pytest
from distributed import Client, Semaphore

from mixpanel_fetch.errors import ConfigError, TransportError
from mixpanel_fetch.simulator import EngageSimulator, Fault

PROFILES = 400
PAGES = 40


def busy(latency: float = 0.05, **switches: Any) -> EngageSimulator:
    """A simulator that refuses nothing, so that its figures tell what came."""
    return EngageSimulator(profiles=PROFILES, latency=latency, concurrency_limit=None, **switches)


def test_two_workers_have_five_requests_in_flight(cluster: Any, kit: Any) -> None:
    with busy(0) as simulator:
        _, expected = kit.fetch(simulator, "sequential")
    with busy(gather=5) as simulator:
        result, pages = kit.fetch(simulator, options={"scheduler": cluster.address})
        stats = simulator.stats
    assert result.exit_code == 0
    assert pages == expected
    assert stats.max_in_flight == 5
    assert set(stats.pages.values()) == {1}


def test_two_fetches_of_a_project_share_its_five(cluster: Any, kit: Any) -> None:
    with busy(gather=5) as simulator:
        options = {"scheduler": cluster.address}
        fetches = [kit.started(simulator, options=options) for _ in range(2)]
        results = [fetch.result() for fetch in fetches]
        most = simulator.stats.max_in_flight
    assert [len(pages) for _, pages in results] == [PAGES, PAGES]
    assert most == 5


def test_the_first_page_waits_for_the_clusters_slots(cluster: Any, kit: Any) -> None:
    with busy(project_id=77) as simulator:
        options = {"scheduler": cluster.address, "limit": "1"}
        fetches = [kit.started(simulator, options=options) for _ in range(3)]
        for fetch in fetches:
            fetch.result()
        assert simulator.stats.max_in_flight == 1


def test_a_worker_that_is_killed_costs_no_page(
    make_cluster: Callable[..., Any], kit: Any, short_leases: dict[str, Any]
) -> None:
    cluster = make_cluster()
    killed, _ = cluster.worker(3), cluster.worker(3)
    with busy(0) as simulator:
        _, expected = kit.fetch(simulator, "sequential")
    with busy(0.5) as simulator:
        options = {"scheduler": cluster.address}
        fetch = kit.started(simulator, client=short_leases, options=options)
        kit.wait_for(lambda: simulator.stats.in_flight == 5, "five requests in flight")
        killed.kill()
        result, pages = fetch.result()
        stats = simulator.stats
    assert result.exit_code == 0
    assert pages == expected
    assert stats.max_in_flight == 5
    assert stats.received > PAGES, "what was in flight at the killed worker is asked for again"


@pytest.mark.parametrize("ttl", ["5 minutes", "3s"])
def test_a_worker_that_stands_still_does_not_make_six(
    make_cluster: Callable[..., Any], kit: Any, short_leases: dict[str, Any], ttl: str
) -> None:
    """Longer than its slots are lent; with the short ttl, Dask gives its pages to others, too."""
    cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL=ttl)
    stopped, _ = cluster.worker(3), cluster.worker(3)
    with busy(0.5) as simulator:
        options = {"scheduler": cluster.address}
        fetch = kit.started(simulator, client=short_leases, options=options)
        kit.wait_for(lambda: simulator.stats.in_flight == 5, "five requests in flight")
        os.kill(stopped.pid, signal.SIGSTOP)
        time.sleep(9)  # a lease is 5 s
        os.kill(stopped.pid, signal.SIGCONT)
        result, pages = fetch.result()
        most = simulator.stats.max_in_flight
    assert result.exit_code == 0
    assert sum(map(len, pages.values())) == PROFILES
    assert most == 5


def test_the_slots_of_a_killed_worker_come_back(
    make_cluster: Callable[..., Any], kit: Any, short_leases: dict[str, Any]
) -> None:
    """All five of them were its own."""
    cluster = make_cluster()
    killed = cluster.worker(5)
    with busy(0.5) as simulator:
        options = {"scheduler": cluster.address}
        fetch = kit.started(simulator, client=short_leases, options=options)
        kit.wait_for(lambda: simulator.stats.in_flight == 5, "five requests in flight")
        killed.kill()
        cluster.worker(5)
        result, pages = fetch.result()
        most = simulator.stats.max_in_flight
    assert (result.exit_code, len(pages), most) == (0, PAGES, 5)


def test_a_fetch_waits_for_workers_and_can_be_stopped_meanwhile(
    make_cluster: Callable[..., Any], kit: Any
) -> None:
    cluster, cancel, landed = make_cluster(), threading.Event(), threading.Event()
    with busy() as simulator:
        fetch = kit.started(
            simulator,
            options={"scheduler": cluster.address},
            cancel=cancel,
            on_batch_complete=lambda _: landed.set(),
        )
        assert landed.wait(kit.SECONDS)
        cancel.set()
        result, pages = fetch.result()
    assert result.interrupted
    assert set(pages) == {0}


def test_a_scheduler_that_goes_away_ends_the_fetch(
    make_cluster: Callable[..., Any], kit: Any
) -> None:
    cluster = make_cluster()
    cluster.worker()
    with busy(0.5) as simulator:
        fetch = kit.started(simulator, options={"scheduler": cluster.address})
        kit.wait_for(lambda: simulator.stats.in_flight >= 2, "pages under way")
        cluster.stop()
        with pytest.raises(TransportError, match="scheduler went away"):
            fetch.result()


def test_a_page_that_cannot_be_had_is_named(cluster: Any, kit: Any) -> None:
    with busy(faults=[Fault(3, "status", status=503, times=None)]) as simulator:
        result, pages = kit.fetch(simulator, options={"scheduler": cluster.address})
    assert result.failed_page_indices == (3,)
    assert set(pages) == set(range(PAGES)) - {3}


def test_rows_that_may_be_missing_may_be_a_page(cluster: Any, kit: Any) -> None:
    with busy(faults=[Fault(3, "empty", times=None)]) as simulator:
        result, _ = kit.fetch(simulator, options={"scheduler": cluster.address}, allow_missing=10)
    assert result.failed_page_indices == ()
    assert result.missing_rows == 10


def test_a_worker_opens_one_source_a_fetch_and_keeps_none(cluster: Any, kit: Any) -> None:
    def sources() -> int:
        return sum(each.name == "mixpanel-fetch-dask" for each in threading.enumerate())

    def semaphores() -> int:
        import gc

        gc.collect()
        return sum(type(each) is Semaphore for each in gc.get_objects())

    with Client(cluster.address, set_as_default=False) as client, busy(0.5) as simulator:
        fetch = kit.started(simulator, options={"scheduler": cluster.address})
        kit.wait_for(lambda: simulator.stats.in_flight == 5, "five requests in flight")
        assert set(client.run(sources).values()) == {1}
        fetch.result()
        kit.wait_for(lambda: set(client.run(sources).values()) == {0}, "sources to close")
        kit.wait_for(lambda: set(client.run(semaphores).values()) == {0}, "semaphores to go")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no Dask scheduler"),
        ({"scheduler": "gopher://127.0.0.1:1"}, "cannot use the Dask scheduler"),
        ({"scheduler": "tls://127.0.0.1:1"}, "tls_ca, tls_cert and tls_key"),
        ({"scheduler": "tls://127.0.0.1:1", "tls_ca": "/nowhere/ca.pem"}, "tls_ca, tls_cert and"),
        (
            {"scheduler": "tls://127.0.0.1:1", "tls_ca": "/no/ca.pem", "tls_cert": "/no/me.pem"},
            "a TLS file",
        ),
        ({"scheduler": "tcp://127.0.0.1:1", "tls_ca": "/no/ca.pem"}, "go with a scheduler at tls"),
        ({"scheduler": "tcp://127.0.0.1:1", "account": "x"}, "credentials=workers"),
    ],
)
def test_what_cannot_be_costs_no_request(kit: Any, options: dict[str, str], words: str) -> None:
    with busy() as simulator:
        with pytest.raises(ConfigError, match=words) as refused:
            kit.fetch(simulator, options=options)
        assert simulator.stats.received == 0
    assert "\n" not in str(refused.value)


def test_a_scheduler_that_does_not_answer_costs_no_request(kit: Any) -> None:
    with busy() as simulator, dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        with pytest.raises(TransportError, match="no Dask scheduler answers"):
            kit.fetch(simulator, options={"scheduler": "tcp://127.0.0.1:9"})
        assert simulator.stats.received == 0


def test_another_limit_for_a_project_is_refused(cluster: Any, kit: Any) -> None:
    with busy(project_id=4711) as simulator:
        options = {"scheduler": cluster.address}
        kit.fetch(simulator, options=options)
        with pytest.raises(ConfigError, match="lets 5 requests of this project through, not 4"):
            kit.fetch(simulator, options=options | {"limit": "4"})
