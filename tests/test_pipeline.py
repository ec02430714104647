"""The pipeline, with sinks, transforms and strategies such as a third party would write."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from mixpanel_fetch import (
    AuthenticationError,
    Batch,
    ConfigError,
    FetcherService,
    FetchInterruptedError,
    FetchResult,
    ParallelProfileFetcherService,
    ParallelProfileFetchResult,
    PluginError,
    ServerError,
    StorageError,
    StrategySpec,
    hookimpl,
)
from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.plugins import PluginHost, Provider
from mixpanel_fetch.simulator import Fault


class Shelf:
    """A sink as small as the protocol allows, that remembers how it was called."""

    capabilities = frozenset({"append", "replace", "merge"})

    def __init__(self):
        self.tables = {}
        self.calls = []
        self.threads = set()

    def begin(self, table, mode, run):
        self.note("begin")
        self.run = run
        return ShelfLoad(self, table)

    def close(self):
        self.note("close")

    def note(self, call):
        self.calls.append(call)
        self.threads.add(threading.get_ident())


class ShelfLoad:
    def __init__(self, shelf, table):
        self.shelf, self.table, self.pages = shelf, table, {}

    def landed_pages(self):
        return frozenset()

    def write(self, page_index, batch):
        self.shelf.note("write")
        self.pages[page_index] = list(batch.rows())
        return len(batch)

    def commit(self):
        self.shelf.note("commit")
        self.shelf.tables[self.table] = self.pages

    def suspend(self):
        self.shelf.note("suspend")

    def abort(self):
        self.shelf.note("abort")


@pytest.fixture
def shelf():
    return Shelf()


def shelf_with(**methods):
    """A shelf whose loads have these methods in place of their own, or besides them."""

    class Changed(Shelf):
        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            vars(load).update(methods)
            return load

    return Changed()


def host_with(**hooks):
    """A host of what is installed plus one plugin with these hooks."""
    host = PluginHost()
    plugin = type("Plugin", (), {name: hookimpl(staticmethod(f)) for name, f in hooks.items()})
    host.register(plugin, Provider("test", "mixpanel-fetch-test", "1.0"))
    return host


def ids(pages):
    return [row["distinct_id"] for index in sorted(pages) for row in pages[index]]


@pytest.mark.parametrize("parallel", [False, True])
def test_every_page_lands_once(engage_simulator, client_of, shelf, parallel):
    simulator = engage_simulator(profiles=2450, page_size=100, gather=5 if parallel else 1)
    service = FetcherService(client_of(simulator), shelf)
    result = service.fetch_profiles("users", parallel=parallel)
    assert type(result) is (ParallelProfileFetchResult if parallel else FetchResult)
    assert (result.total_rows, result.successful_pages, result.failed_pages) == (2450, 25, 0)
    assert result.exit_code == 0
    assert sorted(shelf.tables["users"]) == list(range(25))
    assert len(set(ids(shelf.tables["users"]))) == 2450
    assert simulator.stats.pages == dict.fromkeys(range(25), 1)
    assert simulator.stats.max_in_flight == (5 if parallel else 1)


def test_sequential_and_parallel_agree(engage_simulator, client_of):
    client = client_of(engage_simulator(profiles=1050, page_size=100))
    one, many = Shelf(), Shelf()
    FetcherService(client, one).fetch_profiles("users")
    ParallelProfileFetcherService(client, many).fetch_profiles("users")
    assert one.tables == many.tables


def test_all_sink_calls_of_a_run_come_from_one_thread_that_is_not_the_callers(
    engage_simulator, client_of, shelf
):
    client = client_of(engage_simulator(profiles=500, page_size=100))
    FetcherService(client, shelf).fetch_profiles("users", parallel=True)
    assert shelf.calls == ["begin", *["write"] * 5, "commit", "close"]
    assert len(shelf.threads) == 1
    assert threading.get_ident() not in shelf.threads


def test_more_workers_than_five_are_capped_and_said(engage_simulator, client_of, shelf, caplog):
    simulator = engage_simulator(profiles=2000, page_size=100, gather=5)
    service = ParallelProfileFetcherService(client_of(simulator), shelf)
    result = service.fetch_profiles("users", max_workers=50)
    assert simulator.stats.max_in_flight == 5
    assert any("50" in warning for warning in result.warnings)


def test_many_pages_come_with_a_warning_about_the_hourly_limit(
    engage_simulator, client_of, shelf, caplog
):
    simulator = engage_simulator(profiles=610, page_size=10)
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert result.total_pages == 61
    assert any("60 queries an hour" in warning for warning in result.warnings)
    assert any("60 queries an hour" in record.getMessage() for record in caplog.records)


def test_failed_pages_are_named_and_the_others_stored(engage_simulator, client_of, shelf):
    faults = [Fault(3, "500", times=None), Fault(7, "reset", times=None)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert result.failed_page_indices == (3, 7)
    assert (result.successful_pages, result.total_rows, result.exit_code) == (8, 800, 1)
    assert sorted(shelf.tables["users"]) == [0, 1, 2, 4, 5, 6, 8, 9]
    assert [type(f.error).__name__ for f in result.failures] == ["ServerError", "TransportError"]
    assert result.retries == 6  # each page: two requests, and two more at the end
    assert [failure.attempts for failure in result.failures] == [4, 4]


def test_a_first_page_that_fails_raises_and_stores_nothing(engage_simulator, client_of, shelf):
    simulator = engage_simulator(faults=[Fault(None, "500", times=None)])
    with pytest.raises(ServerError, match="tried 2 times"):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert shelf.calls == ["close"]


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_replace_and_merge_want_every_page(engage_simulator, client_of, shelf, mode):
    simulator = engage_simulator(profiles=1000, page_size=100, faults=[Fault(3, "500", times=None)])
    service = FetcherService(client_of(simulator), shelf)
    result = service.fetch_profiles("users", mode=mode, parallel=True)
    assert (result.published, result.exit_code) == (False, 1)
    assert shelf.calls[-2:] == ["suspend", "close"]
    assert shelf.tables == {}
    result = service.fetch_profiles("users", mode=mode, parallel=True, allow_partial=True)
    assert (result.published, result.exit_code) == (True, 1)
    assert len(shelf.tables["users"]) == 9


@pytest.mark.parametrize("kind", ["401", "402", "403"])
def test_a_refusal_in_mid_run_stops_and_suspends(engage_simulator, client_of, shelf, kind):
    simulator = engage_simulator(
        profiles=5000, page_size=100, faults=[Fault(5, kind)], latency=0.01
    )
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert result.exit_code == 2
    assert not result.published
    assert result.successful_pages + result.failed_pages == 50
    assert len(simulator.stats.requests) < 25
    assert shelf.calls[-2:] == ["suspend", "close"]


def test_transforms_run_in_the_users_order(engage_simulator, client_of, shelf):
    client = client_of(engage_simulator(profiles=200, page_size=100))
    FetcherService(client, shelf).fetch_profiles(
        "users", transforms=["rename:plan=tier", "select:tier,plan"]
    )
    assert {tuple(row["properties"]) for row in shelf.tables["users"][0]} <= {("tier",), ()}


def test_a_transform_may_keep_fewer_rows_or_none(engage_simulator, client_of, shelf):
    client = client_of(engage_simulator(profiles=300, page_size=100))

    def third(batch):
        return Batch.from_rows([row for i, row in enumerate(batch.rows()) if i % 3 == 0])

    result = FetcherService(client, shelf).fetch_profiles("users", transforms=[third])
    assert (result.total_rows, result.rows_dropped, result.rows_received) == (102, 198, 300)
    assert (result.missing_rows, result.exit_code) == (0, 0)
    result = FetcherService(client, shelf).fetch_profiles("none", transforms=[lambda batch: None])
    assert (result.total_rows, result.successful_pages, result.exit_code) == (0, 3, 0)


def test_a_transform_that_raises_fails_its_page_and_is_not_retried(
    engage_simulator, client_of, shelf
):
    simulator = engage_simulator(profiles=300, page_size=100)
    seen = []

    def picky(batch):
        seen.append(batch.distinct_ids[0])
        if len(seen) == 2:
            raise KeyError("oops")
        return batch

    result = FetcherService(client_of(simulator), shelf).fetch_profiles("users", transforms=[picky])
    assert result.failed_page_indices == (1,)
    assert result.failures[0].stage == "transform"
    assert "KeyError" in str(result.failures[0].error)
    assert (len(seen), result.rows_received, result.missing_rows) == (3, 300, 0)
    assert len(simulator.stats.requests) == 3


def test_a_transform_that_fails_on_the_first_page_ends_the_run(engage_simulator, client_of, shelf):
    simulator = engage_simulator(profiles=300, page_size=100)
    with pytest.raises(PluginError, match="not a Batch"):
        FetcherService(client_of(simulator), shelf).fetch_profiles("u", transforms=[lambda b: 5])
    assert shelf.calls == ["close"]
    assert len(simulator.stats.requests) == 1


def test_a_sink_that_raises_fails_the_run_and_is_named(engage_simulator, client_of, shelf):
    class Broken(Shelf):
        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            load.write = self.fail
            return load

        def fail(self, page_index, batch):
            raise RuntimeError("no more room")

    broken = Broken()
    simulator = engage_simulator(profiles=5000, page_size=100)
    with pytest.raises(PluginError, match=r"Broken failed.*no more room") as caught:
        FetcherService(client_of(simulator), broken).fetch_profiles("users", parallel=True)
    assert caught.value.exit_code == 1
    assert broken.calls[-2:] == ["abort", "close"]


def test_a_commit_that_fails_keeps_what_landed(engage_simulator, client_of):
    class Full(Shelf):
        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            load.commit = self.fail
            return load

        def fail(self):
            raise StorageError("the disk is full")

    full = Full()
    with pytest.raises(StorageError, match="disk is full"):
        FetcherService(client_of(engage_simulator()), full).fetch_profiles("users")
    assert full.calls[-2:] == ["suspend", "close"]


def test_a_mode_that_the_sink_does_not_claim_costs_no_request(engage_simulator, client_of):
    class CreateOnly(Shelf):
        capabilities = frozenset()

    simulator = engage_simulator()
    with pytest.raises(ConfigError, match="cannot append"):
        FetcherService(client_of(simulator), CreateOnly()).fetch_profiles("users", append=True)
    assert len(simulator.stats.requests) == 0


class Custom:
    """A strategy made of one function."""

    def __init__(self, run):
        self.run = run


def fetch_with(run, simulator, client_of, shelf, **more):
    spec = StrategySpec("custom", lambda max_workers=None: Custom(run))
    assembler = Assembler(host_with(register_strategies=lambda: [spec]))
    service = FetcherService(client_of(simulator), shelf, assembler=assembler)
    return service.fetch_profiles("users", strategy="custom", **more)


def test_a_strategy_of_threads_works(engage_simulator, client_of, shelf):
    def threads(source, pages):
        with ThreadPoolExecutor(4) as pool:
            yield from pool.map(source.attempt, pages)

    simulator = engage_simulator(profiles=1500, page_size=100, latency=0.02)
    result = fetch_with(threads, simulator, client_of, shelf)
    assert (result.total_rows, result.exit_code) == (1500, 0)
    assert 2 <= simulator.stats.max_in_flight <= 5


def test_no_strategy_gets_more_than_five_requests_through_the_gate(
    engage_simulator, client_of, shelf
):
    def greedy(source, pages):
        with ThreadPoolExecutor(20) as pool:
            yield from pool.map(source.attempt, pages)

    simulator = engage_simulator(profiles=2000, page_size=100, gather=5)
    assert fetch_with(greedy, simulator, client_of, shelf).exit_code == 0
    assert simulator.stats.max_in_flight == 5


def test_a_strategy_may_return_any_iterator(engage_simulator, client_of, shelf):
    simulator = engage_simulator(profiles=500, page_size=100)
    result = fetch_with(lambda s, p: map(s.fetch, reversed(p)), simulator, client_of, shelf)
    assert result.successful_pages == 5


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda source, pages: iter([source.fetch(1), source.fetch(1)]), "page 1 twice"),
        (lambda source, pages: iter([source.fetch(0)]), "page 0 twice or unasked"),
        (lambda source, pages: iter([source.fetch(pages[0])]), "left out page 2"),
        (lambda source, pages: 1 / 0, "ZeroDivisionError"),
        (lambda source, pages: iter([object()]), "AttributeError"),
    ],
)
def test_a_strategy_that_breaks_its_promise_fails_the_run_and_is_named(
    engage_simulator, client_of, shelf, run, words
):
    simulator = engage_simulator(profiles=300, page_size=100)
    with pytest.raises(PluginError, match=words) as caught:
        fetch_with(run, simulator, client_of, shelf)
    assert "mixpanel-fetch-test 1.0" in str(caught.value)
    assert shelf.calls[-2:] == ["suspend", "close"]


def test_a_portable_source_fetches_the_same_pages(engage_simulator, client_of, shelf):
    import pickle

    from mixpanel_fetch.quota import ConcurrencyGate

    def elsewhere(source, pages):
        twin = pickle.loads(pickle.dumps(source.portable())).open(ConcurrencyGate(2))
        assert twin.total_pages == source.total_pages
        try:
            yield from map(twin.attempt, pages)
        finally:
            twin.close()

    simulator = engage_simulator(profiles=500, page_size=100)
    assert fetch_with(elsewhere, simulator, client_of, shelf).total_rows == 500


def test_pages_in_flight_stay_bounded(engage_simulator, client_of):
    class Slow(Shelf):
        def __init__(self):
            super().__init__()
            self.alive, self.most = [], 0

        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            load.write = self.write
            return load

        def write(self, page_index, batch):
            time.sleep(0.002)
            self.alive.append(weakref.ref(batch))
            self.most = max(self.most, sum(ref() is not None for ref in self.alive))
            return len(batch)

    slow = Slow()
    simulator = engage_simulator(profiles=3000, page_size=10)
    ParallelProfileFetcherService(client_of(simulator), slow).fetch_profiles("users")
    assert len(slow.alive) == 300
    assert slow.most <= 6  # landed batches that something still holds: a group, and one more


def test_a_slow_sink_does_not_keep_the_next_burst_waiting(engage_simulator, client_of, slowdown):
    def slowly(page_index, batch):
        time.sleep(0.05)  # five pages of a burst take as long as the next burst's way
        return len(batch)

    simulator = engage_simulator(profiles=260, page_size=10, latency=0.25)
    service = ParallelProfileFetcherService(client_of(simulator), shelf_with(write=slowly))
    result = service.fetch_profiles("users")
    assert (result.successful_pages, simulator.stats.max_in_flight) == (26, 5)
    # Six rounds are 1.5 s, and landing alone 1.3 s.
    assert result.duration_seconds < 2.4 * slowdown()


def test_a_sink_that_falls_behind_is_given_what_waits_at_once(engage_simulator, client_of):
    groups = []

    def together(pages):
        time.sleep(0.01)
        groups.append([index for index, _ in pages])
        return [len(batch) for _, batch in pages]

    simulator = engage_simulator(profiles=3000, page_size=50)
    service = ParallelProfileFetcherService(client_of(simulator), shelf_with(write_pages=together))
    result = service.fetch_profiles("users")
    assert sorted(index for group in groups for index in group) == list(range(60))
    assert groups[0] == [0]
    assert 2 <= max(map(len, groups)) <= 5
    assert result.total_rows == 3000


@pytest.mark.parametrize("answer", [None, [], [1, 2], ["many"]])
def test_a_sink_must_say_how_many_rows_of_each_page_landed(engage_simulator, client_of, answer):
    sink = shelf_with(write_pages=lambda pages: answer)
    service = FetcherService(client_of(engage_simulator(profiles=5)), sink)
    with pytest.raises(PluginError, match="not the rows"):
        service.fetch_profiles("users")


def test_progress_comes_in_the_callers_thread_once_a_page_has_landed(
    engage_simulator, client_of, shelf
):
    seen = []

    def note(progress):
        seen.append((progress, threading.get_ident(), shelf.calls.count("write")))

    simulator = engage_simulator(profiles=1000, page_size=100, faults=[Fault(4, "500", times=None)])
    ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles(
        "users", on_batch_complete=note
    )
    assert sorted(progress.page_index for progress, _, _ in seen) == list(range(10))
    assert {thread for _, thread, _ in seen} == {threading.get_ident()}
    assert {p.total_pages for p, _, _ in seen} == {10}
    failed = [p for p, _, _ in seen if not p.success]
    assert [(p.page_index, p.rows) for p in failed] == [(4, 0)]
    assert "500" in failed[0].error
    landed = [(i, writes) for i, (p, _, writes) in enumerate(seen) if p.success]
    assert all(writes > sum(q.success for q, _, _ in seen[:i]) for i, writes in landed)


def test_a_callback_that_raises_suspends_the_run(engage_simulator, client_of, shelf):
    def boom(progress):
        if progress.page_index:
            raise RuntimeError("stop this")

    simulator = engage_simulator(profiles=5000, page_size=100, latency=0.01)
    with pytest.raises(RuntimeError, match="stop this"):
        ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles(
            "users", on_batch_complete=boom
        )
    assert shelf.calls[-2:] == ["suspend", "close"]
    assert len(simulator.stats.requests) < 50


@pytest.mark.parametrize("parallel", [False, True])
def test_cancel_ends_within_a_second_and_keeps_what_landed(
    engage_simulator, client_of, shelf, slowdown, parallel
):
    cancel = Event()
    simulator = engage_simulator(
        profiles=1000, page_size=100, faults=[Fault(i, "hang") for i in range(3, 10)]
    )
    landed, told = [], []

    def cancel_after_three(progress):
        landed.append(progress)
        if len(landed) == 3:
            told.append(time.monotonic())
            cancel.set()

    result = FetcherService(client_of(simulator), shelf).fetch_profiles(
        "users", parallel=parallel, cancel=cancel, on_batch_complete=cancel_after_three
    )
    assert time.monotonic() - told[0] < 1 * slowdown()
    assert result.interrupted
    assert (result.successful_pages, result.failed_pages) == (3, 7)
    assert (result.published, result.exit_code) == (False, 1)
    assert shelf.calls[-2:] == ["suspend", "close"]


def test_cancel_before_the_first_page_raises(engage_simulator, client_of, shelf, slowdown):
    cancel = Event()
    simulator = engage_simulator(faults=[Fault(0, "hang")])
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    with pytest.raises(FetchInterruptedError):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users", cancel=cancel)
    assert time.monotonic() - started < 1.3 * slowdown()
    assert shelf.calls == ["close"]


def test_cancel_interrupts_a_sink_that_can_be_interrupted(engage_simulator, client_of):
    class Stuck(Shelf):
        def __init__(self):
            super().__init__()
            self.told = Event()

        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            load.commit = self.wait
            return load

        def wait(self):
            cancel.set()
            if not self.told.wait(10):
                raise AssertionError("nobody interrupted")
            raise StorageError("interrupted")

        def interrupt(self):
            self.told.set()

    cancel, stuck = Event(), Stuck()
    result = FetcherService(client_of(engage_simulator()), stuck).fetch_profiles(
        "users", cancel=cancel
    )
    assert (result.interrupted, result.published) == (True, False)
    assert stuck.calls[-2:] == ["suspend", "close"]


def test_an_empty_answer_makes_an_empty_table(engage_simulator, client_of, shelf):
    client = client_of(engage_simulator(profiles=0))
    result = FetcherService(client, shelf).fetch_profiles("users")
    assert (result.total_rows, result.exit_code, result.published) == (0, 0, True)
    assert shelf.tables["users"] == {0: []}


@pytest.mark.parametrize(("rows", "published"), [(None, True), (0, True), (7, False)])
def test_an_empty_answer_does_not_replace_rows(engage_simulator, client_of, shelf, rows, published):
    shelf.count = lambda table: rows
    client = client_of(engage_simulator(profiles=0))
    result = FetcherService(client, shelf).fetch_profiles("users", mode="replace")
    assert result.published is published
    assert result.exit_code == (0 if published else 1)
    if not published:
        assert "region" in result.warnings[0]
        assert "begin" not in shelf.calls
        again = FetcherService(client, shelf).fetch_profiles(
            "users", mode="replace", allow_empty=True
        )
        assert (again.published, again.exit_code) == (True, 0)


def test_rows_without_an_id_are_rejected_and_counted(engage_simulator, client_of, shelf):
    profiles = [{"$distinct_id": i, "$properties": {}} for i in (1, None, "x", {"a": 1})]
    client = client_of(engage_simulator(profiles=profiles))
    result = FetcherService(client, shelf).fetch_profiles("users")
    assert (result.total_rows, result.rejected_rows, result.rows_received) == (2, 2, 4)
    assert result.exit_code == 1


def test_an_empty_page_in_the_middle_is_a_failed_page(engage_simulator, client_of, shelf):
    simulator = engage_simulator(
        profiles=1000, page_size=100, faults=[Fault(6, "empty", times=None), Fault(2, "empty")]
    )
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert (result.failed_page_indices, result.exit_code) == ((6,), 1)
    assert result.missing_rows == 100


def test_a_short_page_is_asked_for_again_and_listed(engage_simulator, client_of, shelf):
    faults = [Fault(6, "short", times=None, rows=3), Fault(2, "short", rows=5)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert (result.short_pages, result.missing_rows, result.exit_code) == ((6,), 3, 1)
    assert result.total_rows == 997


def test_observers_see_each_page_and_the_end_and_cannot_fail_a_run(
    engage_simulator, client_of, shelf, caplog
):
    seen = []

    def page_completed(progress, run):
        seen.append((progress.page_index, run.table))
        raise ValueError("a bad observer")

    def run_completed(result):
        seen.append(result.total_rows)

    host = host_with(page_completed=page_completed, run_completed=run_completed)
    client = client_of(engage_simulator(profiles=300, page_size=100))
    service = FetcherService(client, shelf, assembler=Assembler(host))
    assert service.fetch_profiles("users").exit_code == 0
    assert sorted(seen[:-1]) == [(0, "users"), (1, "users"), (2, "users")]
    assert seen[-1] == 300
    assert sum("a bad observer" in record.getMessage() for record in caplog.records) == 1


def test_the_run_is_described_to_the_sink_without_secrets(engage_simulator, client_of, shelf):
    simulator = engage_simulator(profiles=250, page_size=100)
    FetcherService(client_of(simulator), shelf).fetch_profiles(
        "users", where='properties["plan"] != "x"', transforms=["drop:$email"], batch_size=7
    )
    run = shelf.run
    assert (run.table, run.mode, run.page_size, run.batch_size) == ("users", "create", 100, 7)
    assert run.query.where == 'properties["plan"] != "x"'
    assert run.transforms == ("drop:$email",)
    assert run.session_id
    assert set(run.fingerprint) == {"query", "project", "host", "page_size", "transforms"}
    assert "mixpanel-fetch" in run.fingerprint["transforms"]
    assert "demo-secret" not in repr(run)


def test_a_page_size_is_asked_for_and_the_answers_echo_believed(engage_simulator, client_of, shelf):
    simulator = engage_simulator(profiles=1000, max_page_size=250)
    result = FetcherService(client_of(simulator), shelf).fetch_profiles("users", page_size=400)
    assert (result.page_size, result.total_pages, result.total_rows) == (250, 4, 1000)
    assert {request.form["page_size"] for request in simulator.stats.requests} == {"400"}


def test_concurrency_429s_narrow_the_gate_and_lose_nothing(engage_simulator, client_of, shelf):
    simulator = engage_simulator(
        profiles=2000, page_size=100, latency=0.02, concurrency_limit=2, concurrency_retry_after=0
    )
    result = ParallelProfileFetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert (result.total_rows, result.exit_code) == (2000, 0)
    assert result.retries > 0


def test_wrong_credentials_are_an_authentication_error(engage_simulator, client_of, shelf):
    simulator = engage_simulator(secret="another")
    with pytest.raises(AuthenticationError):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert shelf.calls == ["close"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"append": True, "mode": "replace"},
        {"mode": "upsert"},
        {"max_workers": 0},
        {"page_size": 0},
        {"batch_size": 0},
        {"where": ""},
        {"cohort_id": "12a"},
    ],
)
def test_arguments_that_make_no_sense_cost_no_request(engage_simulator, client_of, shelf, wrong):
    simulator = engage_simulator()
    with pytest.raises(ConfigError):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users", **wrong)
    assert len(simulator.stats.requests) == 0


def test_a_table_needs_a_name(engage_simulator, client_of, shelf):
    with pytest.raises(ConfigError, match="name"):
        FetcherService(client_of(engage_simulator()), shelf).fetch_profiles(" ")


def test_an_interrupt_of_the_host_during_a_publish_that_succeeds_takes_nothing_back(
    engage_simulator, client_of, monkeypatch
):
    import signal

    class Slow(Shelf):
        def begin(self, table, mode, run):
            load = super().begin(table, mode, run)
            commit = load.commit
            load.commit = lambda: (signal.raise_signal(signal.SIGINT), time.sleep(0.5), commit())[2]
            return load

    slow = Slow()
    with pytest.raises(KeyboardInterrupt):
        FetcherService(client_of(engage_simulator()), slow).fetch_profiles("users")
    assert slow.calls == ["begin", "write", "commit", "close"]
    assert "users" in slow.tables


def test_an_interrupt_of_the_host_while_pages_land_suspends_the_run(
    engage_simulator, client_of, shelf, slowdown, capfd
):
    import signal

    simulator = engage_simulator(profiles=1000, page_size=100, faults=[Fault(4, "hang")])
    told = []

    def interrupt():
        while shelf.calls.count("write") < 4 or not simulator.stats.in_flight:
            time.sleep(0.01)
        told.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert time.monotonic() - told[0] < 2.5 * slowdown()
    assert shelf.calls[-2:] == ["suspend", "close"]
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_of_the_host_before_the_first_page(engage_simulator, client_of, shelf, capfd):
    import signal

    import gevent

    gevent.get_hub()  # also in a host that has a hub of its own
    simulator = engage_simulator(faults=[Fault(0, "hang")])

    def interrupt():
        while not simulator.stats.in_flight:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        FetcherService(client_of(simulator), shelf).fetch_profiles("users")
    assert shelf.calls == ["close"]
    assert capfd.readouterr() == ("", "")
