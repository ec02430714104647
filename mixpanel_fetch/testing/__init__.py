"""For authors of plugins, and for programs that embed: what their tests need.

A conformance kit is a class to subclass; its fixture ``case`` says what is to be tested::

    from mixpanel_fetch.testing import SinkCase, SinkTests

    class TestMySink(SinkTests):
        @pytest.fixture
        def case(self, tmp_path):
            return SinkCase(f"my-sink:///{tmp_path}/out", rows=read_rows)

The kits need pytest and nothing else. The fixtures ``engage_simulator``, ``plugin_host``,
``make_batch``, ``run_fetch`` and ``clean_environment`` are there in every test, without an import.
For tests of a sink's own there are ``make_run``, ``land`` and ``refusal``. Strategies for
hypothesis are in :mod:`mixpanel_fetch.testing.hypotheses`, which needs hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mixpanel_fetch.testing.cases import ExecutorCase as ExecutorCase
    from mixpanel_fetch.testing.cases import Row as Row
    from mixpanel_fetch.testing.cases import RowReader as RowReader
    from mixpanel_fetch.testing.cases import SinkCase as SinkCase
    from mixpanel_fetch.testing.cases import StrategyCase as StrategyCase
    from mixpanel_fetch.testing.cases import TransformCase as TransformCase
    from mixpanel_fetch.testing.engines import land as land
    from mixpanel_fetch.testing.engines import make_run as make_run
    from mixpanel_fetch.testing.engines import refusal as refusal
    from mixpanel_fetch.testing.executors import ExecutorTests as ExecutorTests
    from mixpanel_fetch.testing.sinks import SinkTests as SinkTests
    from mixpanel_fetch.testing.strategies import StrategyTests as StrategyTests
    from mixpanel_fetch.testing.transforms import TransformTests as TransformTests

_HOME_OF = {
    "ExecutorCase": "cases",
    "ExecutorTests": "executors",
    "Row": "cases",
    "RowReader": "cases",
    "SinkCase": "cases",
    "SinkTests": "sinks",
    "StrategyCase": "cases",
    "StrategyTests": "strategies",
    "TransformCase": "cases",
    "TransformTests": "transforms",
    "land": "engines",
    "make_run": "engines",
    "refusal": "engines",
}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605  (names are strings, computed)


# Before any of them is imported: then a plain assert in a kit says what it compared.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            *("engines", "executor_bench", "executors"),
            *("promises", "rows", "sink_bench", "sink_columns", "sink_history", "sink_manners"),
            *("sink_modes", "sink_reading", "sink_resume", "sink_runs", "sink_sync", "sink_values"),
            *("strategies", "strategy_bench", "transforms"),
        )
    )
)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
