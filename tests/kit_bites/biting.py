"""How a kit is run upon a plugin, test by test, without a second pytest."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mixpanel_fetch.testing import (
    ExecutorCase,
    ExecutorTests,
    SinkTests,
    StrategyCase,
    StrategyTests,
    TransformCase,
    TransformTests,
)
from mixpanel_fetch.testing.executor_bench import ExecutorBench
from mixpanel_fetch.testing.sink_bench import SinkBench
from mixpanel_fetch.testing.strategy_bench import StrategyBench
from mixpanel_fetch.testing.transforms import TransformBench

Case = Any


@dataclass(frozen=True)
class Bite:
    """A broken plugin: ``case`` makes it; the test ``kills`` must fail and say ``says``."""

    broken: str
    case: Callable[[], Case]
    kills: str
    says: str

    @property
    def name(self) -> str:
        return f"{self.kills.removeprefix('test_')}: {self.broken}"


@dataclass(frozen=True)
class Verdict:
    """What became of one test, of one set of parameters."""

    test: str
    outcome: str
    words: str = ""


def words_of(kind: type) -> str:
    """Return the name of a class as words."""
    return re.sub("(?<!^)(?=[A-Z])", " ", kind.__name__).lower()


def kit_of(case: Case) -> type:
    if isinstance(case, TransformCase):
        return TransformTests
    if isinstance(case, ExecutorCase):
        return ExecutorTests
    return StrategyTests if isinstance(case, StrategyCase) else SinkTests


def names_of(kit: type) -> list[str]:
    return sorted(name for name in dir(kit) if name.startswith("test_"))


def variants_of(kit: type, test: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each set of parameters of a test, and a name for it."""
    marks = [m for m in getattr(getattr(kit, test), "pytestmark", ()) if m.name == "parametrize"]
    for sets in itertools.product(*(tuple(_sets(mark)) for mark in marks)):
        given = {name: value for one in sets for name, value in one.items()}
        shown = ", ".join(f"{name}={value}" for name, value in given.items())
        yield (f"{test}[{shown}]" if given else test), given


def _sets(mark: pytest.Mark) -> Iterator[dict[str, Any]]:
    names, values = mark.args[:2]
    names = [one.strip() for one in names.split(",")] if isinstance(names, str) else names
    for value in values:
        yield dict(zip(names, value if len(names) > 1 else (value,), strict=True))


def judge(make_case: Callable[[], Case], tests: list[str] | None = None) -> list[Verdict]:
    """Run ``tests`` (all) of the kit, each with a case of its own."""
    kit = kit_of(make_case())
    return [
        _judge(kit, test, name, given, make_case())
        for test in tests or names_of(kit)
        for name, given in variants_of(kit, test)
    ]


def _judge(kit: type, test: str, name: str, given: Mapping[str, Any], case: Case) -> Verdict:
    try:
        _run(getattr(kit(), test), case, given)
    except AssertionError as error:
        return Verdict(name, "killed", str(error))
    except pytest.skip.Exception as reason:
        return Verdict(name, "skipped", str(reason))
    except Exception as error:
        return Verdict(name, "error", f"{type(error).__name__}: {error}")
    return Verdict(name, "passed")


def _run(test: Callable[..., None], case: Case, given: Mapping[str, Any]) -> None:
    if isinstance(case, TransformCase):
        test(TransformBench(case), **given)
    elif isinstance(case, StrategyCase):
        test(StrategyBench(case), **given)
    elif isinstance(case, ExecutorCase):
        with TemporaryDirectory() as folder, ExecutorBench(case, Path(folder)) as bench:
            test(bench, **given)
    else:
        with SinkBench(case) as bench:
            test(bench, **given)
