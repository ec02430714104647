from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from typing import Any, cast

import gevent
import pytest
from marshmallow import ValidationError

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults import gevent_pool, sequential
from mixpanel_fetch.defaults.gevent_pool import GeventPool, GeventPoolOptions
from mixpanel_fetch.defaults.sequential import Sequential
from mixpanel_fetch.errors import ConfigError, ServerError
from mixpanel_fetch.model import Page, PageFailure


class Source:
    """Pages that take a moment each; it counts what is asked for, in flight, and alive."""

    def __init__(self, total_pages: int, seconds: float = 0.001) -> None:
        self.total_pages = total_pages
        self.seconds = seconds
        self.asked: list[int] = []
        self.in_flight = self.most_in_flight = 0
        self.failing: frozenset[int] = frozenset()
        self.crash_at: int | None = None
        self.alive: weakref.WeakValueDictionary[int, Page] = weakref.WeakValueDictionary()
        self.most_alive = 0

    def attempt(self, index: int) -> Page | PageFailure:
        self.asked.append(index)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            gevent.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        if index == self.crash_at:
            raise RuntimeError("not a failure that the source knows")
        if index in self.failing:
            return PageFailure(index, "fetch", ServerError("always"))
        page = Page(index, Batch([f"u{index}"], [b"{}"], [None]), rows_received=1)
        self.alive[index] = page
        self.most_alive = max(self.most_alive, len(self.alive))
        return page

    def fetch(self, index: int) -> Page:
        raise NotImplementedError

    def portable(self) -> Any:
        raise NotImplementedError


def indices(outcomes: Iterator[Page | PageFailure]) -> list[int]:
    return [outcome.index for outcome in outcomes]


def greenlets() -> list[object]:
    gc.collect()
    return [
        thing for thing in gc.get_objects() if isinstance(thing, gevent.Greenlet) and not thing.dead
    ]


@pytest.fixture(autouse=True)
def _nothing_left_behind(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    before = greenlets()  # what another test's broken strategy left in this process
    yield
    assert [one for one in greenlets() if one not in before] == []
    assert capfd.readouterr().err == ""


def test_every_page_comes_back_once_and_as_many_at_once_as_allowed() -> None:
    source = Source(60)
    assert sorted(indices(GeventPool(4).run(source, range(1, 60)))) == list(range(1, 60))
    assert sorted(source.asked) == list(range(1, 60))
    assert source.most_in_flight == 4


def test_only_the_pages_asked_for_are_fetched() -> None:
    source = Source(100)
    assert sorted(indices(GeventPool().run(source, [7, 3, 50]))) == [3, 7, 50]
    assert list(GeventPool().run(source, [])) == []


def test_failures_are_outcomes_like_any_other() -> None:
    source = Source(10)
    source.failing = frozenset({3, 7})
    outcomes = list(GeventPool().run(source, range(10)))
    assert sorted(o.index for o in outcomes if isinstance(o, PageFailure)) == [3, 7]
    assert len(outcomes) == 10


def test_an_unknown_exception_is_raised_where_the_pages_are_consumed() -> None:
    source = Source(40)
    source.crash_at = 12
    with pytest.raises(RuntimeError, match="not a failure"):
        list(GeventPool().run(source, range(40)))
    assert source.in_flight == 0


@pytest.mark.parametrize("size", [1, 5])
def test_pages_in_memory_stay_bounded_with_a_slow_consumer(size: int) -> None:
    source = Source(500, seconds=0)
    seen = 0
    for outcome in GeventPool(size).run(source, range(500)):
        seen += 1
        gevent.sleep(0.002 if outcome.index % 10 == 0 else 0)
    assert seen == 500
    assert source.most_alive <= size + 2  # the consumer's own `outcome` lives until the next


@pytest.mark.parametrize("consumed", [0, 1, 3, 20])
@pytest.mark.parametrize("wait", [0, 0.01])
def test_closing_early_kills_what_is_under_way(consumed: int, wait: float) -> None:
    source = Source(200, seconds=0.002)
    outcomes = GeventPool().run(source, range(200))
    for _ in range(consumed):
        next(outcomes)
    gevent.sleep(wait)  # time enough for the buffer to fill up
    with gevent.Timeout(2):
        outcomes.close()  # type: ignore[attr-defined]
    assert source.in_flight == 0
    asked = len(source.asked)
    gevent.sleep(0.01)
    assert len(source.asked) == asked <= consumed + 10


def test_an_exception_in_the_consumer_ends_the_pool() -> None:
    source = Source(200)

    def consume() -> None:
        for outcome in GeventPool().run(source, range(200)):
            if outcome.index == 9:
                raise KeyError("the consumer's")

    with pytest.raises(KeyError):
        consume()
    gevent.sleep(0.01)
    assert source.in_flight == 0


def test_the_pool_never_exceeds_its_limit_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    pool = GeventPool(50)
    assert pool.size == 5
    assert pool.warnings == ("50 workers asked for, 5 used: Mixpanel answers 5 queries at once",)
    assert [record.getMessage() for record in caplog.records] == list(pool.warnings)
    assert caplog.records[0].name == "mixpanel_fetch"


def test_workers_and_limit_decide_the_size(caplog: pytest.LogCaptureFixture) -> None:
    assert GeventPool().size == 5
    assert GeventPool(2).size == 2
    assert GeventPool(limit=3).size == 3
    assert GeventPool(8, limit=8).size == 8
    assert caplog.records == []


@pytest.mark.parametrize("arguments", [(0,), (-1,), (3, 0)])
def test_less_than_one_worker_is_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        GeventPool(*arguments)


def test_options_are_checked() -> None:
    assert GeventPoolOptions().load({}) == {"limit": 5}
    assert GeventPoolOptions().load({"limit": "3"}) == {"limit": 3}
    for wrong in ({"limit": 0}, {"limit": "many"}, {"size": 3}):
        with pytest.raises(ValidationError):
            GeventPoolOptions().load(wrong)


def test_sequential_asks_for_one_page_after_the_other_in_order() -> None:
    source = Source(10)
    source.failing = frozenset({4})
    outcomes = Sequential(max_workers=3).run(source, [2, 4, 1])
    assert source.asked == []
    assert next(outcomes).index == 2
    assert source.asked == [2]
    assert indices(outcomes) == [4, 1]
    assert source.most_in_flight == 1


def test_the_plugins_register_their_strategies() -> None:
    [pool] = gevent_pool.register_strategies()
    [one] = sequential.register_strategies()
    assert (pool.name, pool.factory, pool.options) == ("gevent-pool", GeventPool, GeventPoolOptions)
    assert (one.name, one.factory, one.options) == ("sequential", Sequential, None)
    assert cast("GeventPool", pool.factory(max_workers=2, limit=5)).size == 2


def test_naming_the_plugins_loads_neither_gevent_nor_duckdb() -> None:
    script = """
import sys
from mixpanel_fetch.defaults import gevent_pool, jsonl_sink, parquet_sink, sequential, shape
gevent_pool.register_strategies(); parquet_sink.register_sinks()
gevent_pool.GeventPool(3); parquet_sink.open_sink("x.parquet")
print(sorted({"gevent", "duckdb", "requests"} & set(sys.modules)))
"""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == "[]"
    assert time.perf_counter() - start < 10
