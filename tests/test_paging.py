"""How large pages are, and how many bytes of them may be under way."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.inflight import InflightBytes
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.services import FetcherService, ParallelProfileFetcherService
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.sizes import MIB, bytes_of


class Sink:
    """Counts rows, and remembers the run."""

    def begin(self, table, mode, run):
        self.run = run
        return self

    def landed_pages(self):
        return frozenset()

    def write(self, page_index, batch):
        return len(batch)

    def commit(self):
        return None

    def abort(self):
        pass

    def close(self):
        pass


@pytest.fixture
def fetch(engage_simulator, client_of):
    """Fetch from a simulator of these settings; return it, the result and the run."""

    def fetch(config, *, parallel=True, **given):
        simulator, sink = engage_simulator(**config), Sink()
        service = FetcherService(client_of(simulator), sink)
        result = service.fetch_profiles("users", parallel=parallel, **given)
        return simulator, result, sink.run

    return fetch


def sizes_asked(simulator):
    return [request.form.get("page_size") for request in simulator.stats.requests]


# Sizes in text


@pytest.mark.parametrize(
    ("text", "size"),
    [("300MB", 300_000_000), ("1.5 GiB", 3 << 29), ("8MiB", 8 * MIB), ("1kb", 1000)],
)
def test_a_size_has_a_unit(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "5", "MB", "-1MB", "1 XB", "1e3MB", "\u0661MB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="write it like 300MB"):
        bytes_of(text)


# What is asked for


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": 0}, "page_size must be at least 1"),
        ({"size": "big"}, "page_size must be a whole number or 'auto'"),
        ({"page_bytes": 0}, "page_bytes must be at least 1"),
        ({"max_inflight_bytes": "1MB"}, "max_inflight_bytes must be a whole number, not '1MB'"),
    ],
)
def test_paging_that_cannot_be_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        Paging(**given)


def test_by_default_the_server_chooses_and_one_query_is_counted(fetch):
    simulator, result, run = fetch({"profiles": 900, "page_size": 100})
    assert set(sizes_asked(simulator)) == {None}
    assert sum(request.counted for request in simulator.stats.requests) == 1
    assert (result.page_size, run.page_size, run.asked_page_size) == (100, 100, None)


def test_a_size_that_is_asked_for_is_asked_for_on_every_page(fetch):
    simulator, result, run = fetch({"profiles": 900, "page_size": 100}, page_size=300)
    assert sizes_asked(simulator) == ["300"] * 3
    assert (result.page_size, result.total_rows) == (300, 900)
    assert (run.page_size, run.asked_page_size) == (300, 300)


@pytest.mark.parametrize("page_size", [5000, "auto"])
def test_only_the_echo_is_believed(fetch, page_size):
    config = {"profiles": 2000, "page_size": 50, "max_page_size": 200}
    _, result, run = fetch(config, page_size=page_size)
    assert (result.page_size, result.total_rows, result.successful_pages) == (200, 2000, 10)
    assert run.asked_page_size > 200


def test_auto_starts_over_with_pages_of_the_bytes_aimed_at(fetch):
    simulator, result, run = fetch(
        {"profiles": 4000, "page_size": 50}, page_size="auto", page_bytes=200_000
    )
    assert 250 < result.page_size < 400  # a narrow profile has about 650 bytes
    assert result.total_rows == 4000
    asked = sizes_asked(simulator)
    assert asked == [None, *[str(run.asked_page_size)] * result.total_pages]
    assert sum(request.counted for request in simulator.stats.requests) == 2
    assert len({request.session_id for request in simulator.stats.requests[2:]}) == 1


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"profiles": 90, "page_size": 100}, {}),  # there is one page only
        ({"profiles": 0}, {}),
        ({"profiles": 500, "page_size": 100}, {}),  # two round trips already
        ({"profiles": 2000, "page_size": 200}, {"page_bytes": 50_000}),  # smaller ones: no use
    ],
)
def test_auto_costs_nothing_where_it_gains_nothing(fetch, config, given):
    simulator, result, _ = fetch(config, page_size="auto", **given)
    assert set(sizes_asked(simulator)) == {None}
    assert result.total_rows == config["profiles"]


def test_auto_makes_pages_smaller_where_one_does_not_fit(fetch):
    given = {"page_bytes": 50_000, "max_inflight_bytes": 100_000}
    _, result, _ = fetch({"profiles": 2000, "page_size": 500}, page_size="auto", **given)
    assert 50 < result.page_size < 100
    assert result.total_rows == 2000


def test_auto_stays_with_what_it_has_where_the_server_refuses(fetch):
    config = {"profiles": 2000, "page_size": 50, "max_page_size": 60, "page_size_over_max": "error"}
    _, result, run = fetch(config, page_size="auto")
    assert (result.page_size, result.total_rows, run.asked_page_size) == (50, 2000, None)


@given(
    st.integers(1, 10**7),
    st.integers(1, 10**5),
    st.integers(2, 10**5),
    st.integers(1, 50),
    st.builds(Paging, st.just("auto"), st.integers(1, 10**9), st.integers(1, 10**9)),
)
def test_what_auto_chooses_fits_and_spares_round_trips(total, page_size, row, workers, paging):
    rows = min(total, page_size)
    better = paging.better_size(
        total=total, page_size=page_size, rows=rows, size=rows * row, workers=workers
    )
    if better is None:
        return
    assert 1 <= better <= total
    assert better == 1 or better * row <= min(paging.page_bytes, paging.max_inflight_bytes)
    if better > page_size:
        trips = [1 + -(-(-(-total // size) - 1) // workers) for size in (page_size, better)]
        assert trips[1] + 1 < trips[0]


# Bytes under way


def test_pages_under_way_stay_below_the_limit(engage_simulator, client_of):
    # A page has about 65,000 bytes: two fit.
    simulator = engage_simulator(profiles=2000, page_size=100, latency=0.03)
    service = ParallelProfileFetcherService(client_of(simulator), Sink())
    result = service.fetch_profiles("users", max_inflight_bytes=140_000)
    assert (result.total_rows, simulator.stats.max_in_flight) == (2000, 2)


def test_one_page_may_always_be_asked_for(engage_simulator, client_of):
    faults = [Fault(3, "500", times=None)]
    simulator = engage_simulator(profiles=1000, page_size=100, latency=0.01, faults=faults)
    service = ParallelProfileFetcherService(client_of(simulator, max_retries=0), Sink())
    result = service.fetch_profiles("users", max_inflight_bytes=1)
    assert (result.failed_page_indices, simulator.stats.max_in_flight) == ((3,), 1)


def test_bytes_are_counted_as_guessed_then_as_they_are():
    inflight = InflightBytes(100)
    inflight.arrived(0, 40)
    inflight.reserve(1)
    assert inflight.used == 80
    inflight.arrived(1, 60)
    assert inflight.used == 100
    inflight.release(0)
    inflight.release(0)
    assert inflight.used == 60


def test_a_reservation_waits_until_there_is_room():
    inflight = InflightBytes(100)
    inflight.arrived(0, 90)
    waiter = threading.Thread(target=inflight.reserve, args=(1,))
    waiter.start()
    time.sleep(0.03)
    assert waiter.is_alive()
    inflight.release(0)
    waiter.join(2)
    assert not waiter.is_alive()
    assert inflight.used == 90


def test_a_strategy_that_lets_no_page_go_does_not_wait_for_ever():
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    inflight = InflightBytes(100, clock=lambda: now[0], sleep=sleep, patience=10)
    inflight.arrived(0, 60)
    inflight.reserve(1)
    assert 10 < now[0] < 11
    inflight.reserve(2)
    assert 20 < now[0] < 22
    inflight.release(0)
    inflight.release(1)
    inflight.release(2)
    inflight.reserve(3)
    assert now[0] < 22
