"""Plugins that keep every promise, of every kind that there is."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import ExecutorSpec, StrategySpec, TransformSpec
from mixpanel_fetch.testing import ExecutorCase, StrategyCase, TransformCase

from .memory import (
    EVERYTHING,
    WITHOUT_RESUME,
    MemoryEngine,
    MemoryLoad,
    StreamEngine,
    case_of,
)


class NoNul(MemoryEngine):
    """A store that cannot hold NUL, nor more than milliseconds."""

    class load(MemoryLoad):  # noqa: N801
        def row(self, distinct_id, properties, last_seen):
            better = properties.replace(rb"\u0000", rb"\ufffd")
            self.repaired += (better != properties) + ("\0" in distinct_id)
            return distinct_id.replace("\0", "\ufffd"), better, in_milliseconds(last_seen)


def in_milliseconds(instant):
    if instant is None:
        return None
    return instant - timedelta(microseconds=instant.microsecond % 1000)


def handed_in():
    case = case_of()
    engine = case.spec.factory
    return replace(case, destination="", spec=None, unusable=None, engine=lambda: engine("up"))


SINKS = {
    "everything": case_of,
    "without resume": lambda: case_of(capabilities=WITHOUT_RESUME),
    "create only": lambda: case_of(capabilities=frozenset()),
    "append, not keyed": lambda: case_of(capabilities=frozenset({"append", "replace"})),
    "resume, create only": lambda: case_of(capabilities=frozenset({"resume", "keyed"})),
    "stream": lambda: case_of(StreamEngine, unusable=None),
    "no NUL": lambda: case_of(
        NoNul, replaced={"\0": "\ufffd"}, last_seen_step=timedelta(milliseconds=1)
    ),
    "handed in": handed_in,
}
assert EVERYTHING > WITHOUT_RESUME


def keep(batch):
    """Return a batch as it is, and refuse one with the plan "bad"."""
    if any(text is None or b'"bad"' in text for text in batch.properties):
        raise ConfigError("bad")
    return Batch(batch.distinct_ids, batch.properties, batch.last_seen)


@dataclass(frozen=True)
class Transforming:
    """A correct transform; ``after`` says what is done to what it returns."""

    after: object = None

    def __call__(self, batch):
        result = keep(batch)
        return result if self.after is None else self.after(batch, result)


REFUSED = ({"distinct_id": "x", "properties": {"plan": "bad"}},)


def transform_case(function=keep, **changes):
    return TransformCase(function, **{"refused": REFUSED, **changes})


def spec_case(factory=lambda argument: keep):
    return transform_case("mine:x", spec=TransformSpec("mine", factory))


TRANSFORMS = {
    "a function": transform_case,
    "by name": spec_case,
    "nothing is kept": lambda: transform_case(lambda batch: keep(batch) and None),
}


class Sequential:
    """One page after the other."""

    size = 1

    def __init__(self, max_workers):
        self.max_workers = max_workers

    def run(self, source, pages):
        for index in pages:
            yield source.attempt(index)


def strategy_case(strategy=Sequential, **changes):
    return StrategyCase("mine", spec=StrategySpec("mine", strategy), **changes)


STRATEGIES = {"sequential": strategy_case}


class Threads(ThreadPoolExecutor):
    """Calls in threads; ``call`` is where one is called."""

    def __init__(self, max_workers):
        super().__init__(max_workers)

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(self.call, fn, *args, **kwargs)

    def call(self, fn, /, *args, **kwargs):
        return fn(*args, **kwargs)


class Travelling(Threads):
    """Pickles what is called and what is returned, as if it went elsewhere."""

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(_unpacked, pickle.dumps((fn, args, kwargs)))

    def call(self, fn, /, *args, **kwargs):
        return pickle.loads(pickle.dumps(super().call(fn, *args, **kwargs)))


def _unpacked(pickled):
    fn, args, kwargs = pickle.loads(pickled)
    return fn(*args, **kwargs)


def executor_case(executor=Threads, **changes):
    return ExecutorCase("mine", spec=ExecutorSpec("mine", executor), **changes)


# Those of other processes are slow to begin: tests/defaults/test_kits.py has one.
EXECUTORS = {
    "threads": executor_case,
    "travelling": lambda: executor_case(Travelling),
}
