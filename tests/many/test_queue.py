"""Whose turn it is: a state machine, driven at random and beside a plain model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mixpanel_fetch.jobqueue import JobQueue

unhurried = settings(max_examples=60, stateful_step_count=40, deadline=None, database=None)
NEEDS = st.lists(st.frozensets(st.sampled_from("abcd"), max_size=2), max_size=12)


class QueueMachine(RuleBasedStateMachine):
    """Jobs begin, end and are given up in any order."""

    @initialize(needs=NEEDS, most=st.none() | st.integers(1, 4))
    def new(self, needs, most):
        self.needs, self.most = needs, most
        self.queue = JobQueue(needs, most)
        self.waiting, self.running, self.over = list(range(len(needs))), set(), set()

    def is_free(self, number):
        return all(self.needs[number].isdisjoint(self.needs[other]) for other in self.running)

    @rule()
    def begin(self):
        full = self.most is not None and len(self.running) >= self.most
        free = [] if full else [number for number in self.waiting if self.is_free(number)]
        begun = self.queue.begin()
        assert begun == (free[0] if free else None)
        if begun is not None:
            self.waiting.remove(begun)
            self.running.add(begun)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data):
        number = data.draw(st.sampled_from(sorted(self.running)))
        self.queue.end(number)
        self.running.remove(number)
        self.over.add(number)

    @rule()
    def give_up(self):
        given_up = self.queue.give_up()
        assert given_up == self.waiting
        self.over |= set(given_up)
        self.waiting = []

    @invariant()
    def each_job_is_in_one_place(self):
        assert self.queue.running == self.running
        assert len(self.waiting) + len(self.running) + len(self.over) == len(self.needs)

    def teardown(self):
        """Whatever happened, the rest comes to its end: nobody waits for ever."""
        for _ in range(len(getattr(self, "waiting", ())) + 1):
            self.begin()
            while self.running:
                number = self.running.pop()
                self.queue.end(number)
                self.over.add(number)
        assert not getattr(self, "waiting", ())


QueueMachine.TestCase.settings = unhurried
TestQueue = QueueMachine.TestCase


def test_a_job_that_must_wait_is_overtaken_and_keeps_its_place():
    queue = JobQueue([{"a"}, {"a"}, {"b"}, {"a"}])
    assert [queue.begin(), queue.begin(), queue.begin()] == [0, 2, None]
    queue.end(2)
    assert queue.begin() is None
    queue.end(0)
    assert [queue.begin(), queue.begin()] == [1, None]


def test_jobs_that_need_nothing_run_as_many_as_may():
    queue = JobQueue([set()] * 3, most=2)
    assert [queue.begin(), queue.begin(), queue.begin()] == [0, 1, None]


def test_what_does_not_run_cannot_end():
    with pytest.raises(KeyError):
        JobQueue([set()]).end(0)
