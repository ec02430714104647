"""The run's one native thread."""

from __future__ import annotations

import threading
import time

import gevent
import pytest

from mixpanel_fetch.runthread import Mailbox, RunThread
from mixpanel_fetch.transport import HubLease


@pytest.fixture
def thread():
    with HubLease(), RunThread() as run_thread:
        yield run_thread


def test_calls_run_in_one_other_thread_in_their_order(thread):
    seen = []

    def work(number):
        seen.append((number, threading.get_ident()))

    pending = [thread.submit(work, number) for number in range(20)]
    for one in pending:
        one.result()
    assert [number for number, _ in seen] == list(range(20))
    assert len({ident for _, ident in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_a_call_returns_what_the_function_returned(thread):
    assert thread.call(divmod, 7, 2) == (3, 1)
    assert thread.call(lambda: None) is None


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_call_raises_is_raised_where_its_result_is_taken(thread, error, capfd):
    def fail():
        raise error

    pending = thread.submit(fail)
    assert pending.wait(10)
    with pytest.raises(type(error)) as caught:
        pending.result()
    assert caught.value is error
    assert thread.call(lambda: "still there") == "still there"
    assert capfd.readouterr() == ("", "")


def test_a_result_can_be_taken_twice(thread):
    pending = thread.submit(lambda: 5)
    assert (pending.result(), pending.result()) == (5, 5)


def test_waiting_says_whether_the_call_has_ended(thread):
    go = threading.Event()
    pending = thread.submit(go.wait, 30)
    assert pending.wait(0.01) is False
    go.set()
    assert pending.wait(30) is True
    assert pending.wait() is True
    assert pending.result() is True


def test_a_blocking_call_does_not_stall_the_hub(thread):
    go, turns = threading.Event(), []

    def other():
        while not go.is_set():
            turns.append(1)
            gevent.sleep(0.001)
            if len(turns) == 20:
                go.set()

    greenlet = gevent.spawn(other)
    assert thread.call(go.wait, 30)
    greenlet.join(30)
    assert len(turns) == 20


def test_two_calls_may_be_under_way_and_a_third_waits_its_turn(thread):
    gates = [threading.Event() for _ in range(3)]
    submitted, pending = [], []

    def submit_all():
        for gate in gates:
            pending.append(thread.submit(gate.wait, 30))
            submitted.append(gate)

    greenlet = gevent.spawn(submit_all)
    greenlet.join(0.3)
    assert len(submitted) <= 2
    assert not greenlet.ready()
    for gate in gates:
        gate.set()
    greenlet.join(30)
    assert [one.result() for one in pending] == [True] * 3


def test_one_call_is_under_way_while_the_next_is_in_hand(thread):
    gate, submitted = threading.Event(), []

    def submit_both():
        submitted.append(thread.submit(gate.wait, 30))
        submitted.append(thread.submit(gate.wait, 30))

    greenlet = gevent.spawn(submit_both)
    greenlet.join(5)
    assert len(submitted) == 2
    gate.set()
    assert [one.result() for one in submitted] == [True, True]


def test_the_thread_is_gone_after_the_run():
    def names():
        return {one.ident for one in threading.enumerate()}

    with HubLease():
        with RunThread() as run_thread:
            ident = run_thread.call(threading.get_ident)
        deadline = time.monotonic() + 30
        while ident in names() and time.monotonic() < deadline:
            gevent.sleep(0.01)
        assert ident not in names()


def test_it_works_in_any_thread_and_leaves_none_behind():
    results = []

    def run():
        with HubLease(), RunThread() as run_thread:
            results.append(run_thread.call(threading.get_ident))
            results.append(threading.get_ident())

    outer = threading.Thread(target=run)
    outer.start()
    outer.join(30)
    assert not outer.is_alive()
    assert len(set(results)) == 2


# From the thread to the hub


def test_a_mailbox_delivers_in_the_hubs_thread_what_a_thread_puts_in(thread):
    seen = []
    mailbox = Mailbox(lambda value: seen.append((value, threading.get_ident())))
    pending = thread.submit(lambda: [mailbox.put(n) or time.sleep(0.002) for n in range(20)])
    deadline = time.monotonic() + 5
    while len(seen) < 20 and time.monotonic() < deadline:
        gevent.sleep(0.01)
    pending.result()
    mailbox.close()
    assert seen == [(n, threading.get_ident()) for n in range(20)]


def test_a_mailbox_that_is_closed_has_delivered_everything(thread):
    seen = []
    mailbox = Mailbox(seen.append)
    thread.call(lambda: [mailbox.put(n) for n in range(5)])
    mailbox.close()
    assert seen == [0, 1, 2, 3, 4]


def test_what_a_call_has_put_in_can_be_had_as_soon_as_it_returns(thread):
    seen = []
    mailbox = Mailbox(seen.append)
    thread.call(mailbox.put, "last")
    mailbox.deliver()
    assert seen == ["last"]
    mailbox.close()
