from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from mixpanel_fetch.testing import (
    ExecutorTests,
    SinkTests,
    StrategyTests,
    TransformTests,
    strategy_bench,
)

from .biting import judge, names_of, variants_of
from .broken_executors import BITES as EXECUTOR_BITES
from .broken_sinks import BITES as SINK_BITES
from .broken_strategies import BITES as STRATEGY_BITES
from .broken_transforms import BITES as TRANSFORM_BITES
from .correct import EXECUTORS, SINKS, STRATEGIES, TRANSFORMS

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover

pytest_plugins = ["pytester"]

BITES = [*SINK_BITES, *TRANSFORM_BITES, *STRATEGY_BITES, *EXECUTOR_BITES]
CORRECT = {**SINKS, **TRANSFORMS, **STRATEGIES, **EXECUTORS}
KITS = {
    SinkTests: SINK_BITES,
    TransformTests: TRANSFORM_BITES,
    StrategyTests: STRATEGY_BITES,
    ExecutorTests: EXECUTOR_BITES,
}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    """What is left behind on purpose does not go away by waiting."""
    monkeypatch.setattr(strategy_bench, "GRACE", 0.3)


@cache
def verdicts_on(make_case):
    return judge(make_case)


@cache
def verdicts_of(bite):
    return judge(bite.case, [bite.kills])


@pytest.mark.parametrize("make_case", CORRECT.values(), ids=CORRECT.keys())
def test_a_plugin_that_keeps_its_promises_passes(make_case):
    verdicts = verdicts_on(make_case)
    assert [one for one in verdicts if one.outcome not in {"passed", "skipped"}] == []


@pytest.mark.parametrize("cases", [SINKS, TRANSFORMS, STRATEGIES])
def test_no_test_is_skipped_by_every_correct_plugin(cases):
    outcomes = {}
    for make_case in cases.values():
        for one in verdicts_on(make_case):
            outcomes.setdefault(one.test, set()).add(one.outcome)
    assert [test for test, seen in outcomes.items() if seen == {"skipped"}] == []


@pytest.mark.parametrize("bite", BITES, ids=lambda bite: bite.name)
def test_a_broken_promise_is_caught_and_named(bite):
    verdicts = verdicts_of(bite)
    assert [one for one in verdicts if one.outcome == "error"] == []
    killed = [one for one in verdicts if one.outcome == "killed"]
    assert killed, f"{bite.kills} does not notice: {bite.broken}"
    for one in killed:
        assert re.search(bite.says, one.words), one.words


def test_an_author_sees_which_promise_was_broken(pytester):
    """As a plugin author runs a kit: plain pytest, and words that say what is wrong."""
    pytester.makepyfile(
        test_mine="""
        import pytest
        from mixpanel_fetch.testing import TransformCase, TransformTests

        class TestMine(TransformTests):
            @pytest.fixture
            def case(self):
                return TransformCase(lambda batch: batch if len(batch) else None)

        class TestRows(TransformTests):
            @pytest.fixture
            def case(self):
                return TransformCase(lambda batch: list(batch.rows()))

        class TestForgotten(TransformTests):
            pass

        def test_fixtures(plugin_host, make_batch, run_fetch, engage_simulator, tmp_path):
            assert plugin_host().sink("jsonl")
            assert [*make_batch("a", {"distinct_id": "b", "properties": {"n": 2}}, n=1).rows()] == [
                {"distinct_id": "a", "properties": {"n": 1}, "last_seen": None},
                {"distinct_id": "b", "properties": {"n": 2}, "last_seen": None},
            ]
            with engage_simulator(profiles=7) as simulator:
                pass
            assert run_fetch(f"jsonl:///{tmp_path}/out", profiles=7).total_rows == 7
        """
    )
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error")
    counts = outcome.parseoutcomes()
    tests = len(names_of(TransformTests))
    assert counts["errors"] == tests
    assert counts["skipped"] == 2
    assert counts["passed"] + counts["failed"] == 2 * (tests - 1) + 1
    outcome.stdout.fnmatch_lines(
        [
            "*NotImplementedError: override the fixture case: return a TransformCase*",
            "*AssertionError: a transform must return a Batch or None, not list*",
        ]
    )


@pytest.mark.parametrize("kit", KITS)
def test_every_test_of_a_kit_is_bitten(kit):
    every = {name for test in names_of(kit) for name, _ in variants_of(kit, test)}
    killed = {
        one.test for bite in KITS[kit] for one in verdicts_of(bite) if one.outcome == "killed"
    }
    assert every - killed == set()


def test_no_two_bites_have_one_name():
    assert [name for name, times in Counter(bite.name for bite in BITES).items() if times > 1] == []
