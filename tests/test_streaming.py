"""Profiles without storing them."""

from __future__ import annotations

import gc
import pickle
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from mixpanel_fetch import (
    AuthenticationError,
    Batch,
    ConfigError,
    FetchInterruptedError,
    FetchResult,
    IncompleteFetchError,
    ParallelProfileFetchResult,
    PluginError,
)
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.streaming.handover import Handover

NOWHERE = "jsonl:///nowhere/at/all.jsonl"  # the destination plays no part
THREAD = "mixpanel-fetch-stream"


@pytest.fixture
def stream_of(workspace_of):
    """A stream from a simulator."""

    def make(simulator, *, client=None, **keywords):
        return workspace_of(simulator, NOWHERE, **client or {}).stream_profiles(**keywords)

    return make


def streaming_threads():
    return [one for one in threading.enumerate() if one.name == THREAD]


def read_into(ids, stream, at_each=lambda: None):
    for row in stream:
        ids.append(row["distinct_id"])
        at_each()


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


# Whole streams


def test_every_profile_comes_once_and_as_a_row(engage_simulator, stream_of):
    stream = stream_of(engage_simulator(profiles=950, page_size=100))
    rows = list(stream)
    assert len({row["distinct_id"] for row in rows}) == len(rows) == 950
    assert set(rows[0]) == {"distinct_id", "properties", "last_seen"}
    assert rows[0]["last_seen"].utcoffset() == timedelta(0)
    assert rows[0]["properties"]["$email"]


def test_the_result_is_there_once_the_stream_has_ended(engage_simulator, stream_of):
    stream = stream_of(engage_simulator(profiles=250, page_size=100))
    next(stream)
    assert stream.result is None
    assert sum(1 for _ in stream) == 249
    assert isinstance(stream.result, ParallelProfileFetchResult)
    assert (stream.result.total_rows, stream.result.successful_pages) == (250, 3)
    assert list(stream) == []


def test_batches_are_pages(engage_simulator, stream_of):
    with stream_of(engage_simulator(profiles=250, page_size=100)) as stream:
        batches = list(stream.batches())
    assert all(isinstance(batch, Batch) for batch in batches)
    assert sorted(map(len, batches)) == [50, 100, 100]


def test_one_page_after_the_other_keeps_their_order(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=500, page_size=100)
    stream = stream_of(simulator, parallel=False)
    ids = [row["distinct_id"] for row in stream]
    assert ids == [row["distinct_id"] for row in stream_of(simulator, parallel=False)]
    assert isinstance(stream.result, FetchResult)
    assert [record.page for record in simulator.stats.requests] == [0, 1, 2, 3, 4] * 2


def test_no_profile_is_an_empty_stream(engage_simulator, stream_of):
    stream = stream_of(engage_simulator(profiles=0))
    assert list(stream) == []
    assert stream.result.total_rows == 0


def test_the_query_and_the_transforms_count(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=300, page_size=100)
    stream = stream_of(
        simulator,
        where='properties["plan"] == "free"',
        output_properties=["plan", "$email"],
        transforms=["drop:$email"],
    )
    assert {tuple(row["properties"].items()) for row in stream} == {(("plan", "free"),)}
    assert 0 < stream.result.total_rows < 300


def test_pages_of_which_nothing_is_kept_are_left_out(engage_simulator, stream_of):
    stream = stream_of(engage_simulator(profiles=300, page_size=100), transforms=[lambda _: None])
    assert list(stream.batches()) == []
    assert stream.result.rows_dropped == 300


def test_nothing_is_asked_for_before_the_first_row_is_wanted(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=100)
    with stream_of(simulator):
        pass
    assert simulator.stats.received == 0
    assert streaming_threads() == []


def test_a_page_is_there_before_the_others_have_come(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=300, page_size=100)
    simulator.set_faults([Fault(page, "hang", times=None) for page in (1, 2)])
    with stream_of(simulator) as stream:
        assert next(stream)["distinct_id"]
        assert stream.result is None


def test_progress_is_told_in_the_thread_that_reads(engage_simulator, stream_of):
    told = []

    def on_batch_complete(progress):
        told.append((progress.page_index, progress.rows, threading.current_thread()))

    stream = stream_of(
        engage_simulator(profiles=250, page_size=100), on_batch_complete=on_batch_complete
    )
    assert len(list(stream)) == 250
    me = threading.current_thread()
    assert sorted(told) == [(0, 100, me), (1, 100, me), (2, 50, me)]


def test_it_works_in_a_thread_that_is_not_the_main_one(engage_simulator, stream_of):
    simulator, rows = engage_simulator(profiles=250, page_size=100), []
    thread = threading.Thread(target=lambda: rows.extend(stream_of(simulator)))
    thread.start()
    thread.join(30)
    assert len(rows) == 250


def test_a_stream_may_be_read_in_one_thread_after_the_other(engage_simulator, stream_of):
    stream, rows = stream_of(engage_simulator(profiles=300, page_size=100)), []
    for _ in range(3):
        thread = threading.Thread(target=lambda: rows.extend(next(stream) for _ in range(50)))
        thread.start()
        thread.join(30)
    rows.extend(stream)
    assert len({row["distinct_id"] for row in rows}) == 300


# What must not be taken for whole


def test_what_page_0_raises_is_raised(engage_simulator, stream_of):
    stream = stream_of(engage_simulator(profiles=10), client={"secret": "wrong"})
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            next(stream)
    assert stream.result is None


def test_failed_pages_are_named_after_the_last_row(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(page, "503", times=None) for page in (3, 7)])
    stream, ids = stream_of(simulator, client={"max_retries": 0}), []
    with pytest.raises(IncompleteFetchError, match=r"2 of 10 pages .*\(3, 7\).*503") as caught:
        read_into(ids, stream)
    assert len(set(ids)) == len(ids) == 800
    with pytest.raises(IncompleteFetchError):
        next(stream)
    assert caught.value.result is stream.result
    assert stream.result.failed_page_indices == (3, 7)
    assert stream.result.total_rows == 800
    assert pickle.loads(pickle.dumps(caught.value)).result.failed_page_indices == (3, 7)


def test_partial_data_can_be_allowed(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(3, "503", times=None)])
    stream = stream_of(simulator, client={"max_retries": 0}, allow_partial=True)
    assert len(list(stream)) == 900
    assert stream.result.failed_page_indices == (3,)


def test_credentials_refused_half_way_are_named(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(3, "401", times=None)])
    with pytest.raises(IncompleteFetchError, match="401") as caught:
        list(stream_of(simulator))
    assert 3 in caught.value.result.failed_page_indices


def test_rows_that_were_never_sent_are_named(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=300, page_size=100)
    simulator.set_faults([Fault(1, "short", times=None, rows=7)])
    with pytest.raises(IncompleteFetchError, match="7 of the rows"):
        list(stream_of(simulator))
    assert len(list(stream_of(simulator, allow_missing=7))) == 293


def test_a_transform_that_raises_fails_its_page(engage_simulator, stream_of):
    seen = []

    def second_fails(batch):
        seen.append(batch)
        if len(seen) == 2:
            raise KeyError("plan")
        return batch

    stream = stream_of(engage_simulator(profiles=300, page_size=100), transforms=[second_fails])
    with pytest.raises(IncompleteFetchError, match=r"second_fails failed: .*plan"):
        list(stream)
    assert stream.result.failed_pages == 1


def test_a_session_that_is_gone_ends_the_stream_and_sends_no_row_twice(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(5, "expired_session", times=None)])
    ids = []
    with pytest.raises(IncompleteFetchError, match="the session expired"):
        read_into(ids, stream_of(simulator))
    assert len(ids) == len(set(ids)) > 0
    assert simulator.stats.sessions == 1


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"where": " "}, ConfigError),
        ({"max_workers": 0}, ConfigError),
        ({"transforms": ["nothing-of-that-name"]}, PluginError),
        ({"options": {"colour": "red"}}, PluginError),
        ({"allow_missing": -1}, ConfigError),
    ],
)
def test_what_cannot_be_asked_is_said_at_once(engage_simulator, stream_of, keywords, error):
    simulator = engage_simulator(profiles=10)
    with pytest.raises(error):
        stream_of(simulator, **keywords)
    assert simulator.stats.received == 0


# Stopping, and pace


def test_leaving_early_stops_the_fetch_and_its_thread(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=10_000, page_size=100)
    with stream_of(simulator) as stream:
        next(stream)
        assert len(streaming_threads()) == 1
    assert stream.result.interrupted
    until(lambda: streaming_threads() == [])
    asked = simulator.stats.received
    assert asked < 50
    with pytest.raises(ValueError, match="closed"):
        next(stream)
    stream.close()
    assert simulator.stats.received == asked


def test_leaving_early_does_not_wait_for_the_network(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=300, page_size=100)
    simulator.set_faults([Fault(page, "hang", times=None) for page in (1, 2)])
    began = time.monotonic()
    with stream_of(simulator, client={"read_timeout": 300}) as stream:
        next(stream)
    assert time.monotonic() - began < 100


def test_closing_while_the_first_page_is_awaited(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=300, page_size=100)
    simulator.set_faults([Fault(0, "hang", times=None)])
    stream, raised = stream_of(simulator, client={"read_timeout": 300}), []

    def read():
        try:
            next(stream)
        except Exception as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: simulator.stats.received == 1)
    stream.close()  # and whoever waits in another thread is let go
    reader.join(30)
    assert [type(error) for error in raised] == [FetchInterruptedError]
    until(lambda: streaming_threads() == [])


def test_a_stream_that_is_dropped_stops(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=10_000, page_size=100)
    for _ in stream_of(simulator):
        break
    gc.collect()
    until(lambda: streaming_threads() == [])
    assert simulator.stats.received < 50


def test_an_error_in_the_with_is_the_one_that_is_raised(engage_simulator, stream_of):
    simulator = engage_simulator(profiles=10_000, page_size=100)
    with pytest.raises(ZeroDivisionError), stream_of(simulator) as stream:
        read_into([], stream, at_each=lambda: 1 / 0)
    until(lambda: streaming_threads() == [])


def test_the_callers_event_ends_the_stream_with_an_error(engage_simulator, stream_of):
    cancel, ids = threading.Event(), []
    stream = stream_of(engage_simulator(profiles=10_000, page_size=100), cancel=cancel)
    with pytest.raises(IncompleteFetchError, match="stopped"):
        read_into(ids, stream, at_each=cancel.set)
    assert stream.result.interrupted
    assert len(set(ids)) == stream.result.total_rows < 10_000


def test_an_event_that_is_set_before_lets_nothing_be_asked(engage_simulator, stream_of):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(FetchInterruptedError):
        list(stream_of(engage_simulator(profiles=100), cancel=cancel))


def test_a_callback_that_raises_ends_the_with(engage_simulator, stream_of):
    def refuse(progress):
        raise ZeroDivisionError

    simulator = engage_simulator(profiles=10_000, page_size=100)
    with pytest.raises(ZeroDivisionError), stream_of(simulator, on_batch_complete=refuse) as rows:
        list(rows)
    until(lambda: streaming_threads() == [])


@pytest.mark.parametrize("parallel", [True, False])
def test_pages_wait_for_a_slow_reader(engage_simulator, stream_of, parallel):
    simulator = engage_simulator(profiles=10_000, page_size=100)
    with stream_of(simulator, parallel=parallel) as stream:
        batches = stream.batches()
        next(batches)
        for taken in range(2, 6):
            time.sleep(0.3)  # too long is no failure; were there no limit, all would be asked for
            # Under way at once, waiting to be handed over, and handed over.
            ahead = 5 + 6 + 2 if parallel else 1 + 2 + 2
            assert simulator.stats.received <= taken + ahead
            next(batches)


# The handover itself


def test_a_handover_hands_values_over_in_order_and_ends_with_the_last_for_ever():
    handover = Handover(2)
    handover.put(1)
    handover.tell(2)
    handover.end(3)
    assert [handover.take() for _ in range(5)] == [1, 2, 3, 3, 3]


def test_a_writer_waits_for_a_place_and_is_turned_away_when_it_is_closed():
    handover, put = Handover(1), []

    def write():
        with suppress(FetchInterruptedError):
            for value in range(5):
                handover.put(value)
                put.append(value)

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: put == [0])
    assert handover.take() == 0
    assert put == [0]
    assert handover.take() == 1  # whoever takes the next is done with the last
    until(lambda: put == [0, 1])
    handover.close()
    writer.join(30)
    assert not writer.is_alive()
    assert put == [0, 1]
    with pytest.raises(FetchInterruptedError):
        handover.put(5)
