from __future__ import annotations

from typing import Any

import pytest
from mixpanel_fetch_dask import register_executors, register_strategies

from mixpanel_fetch.testing import ExecutorCase, ExecutorTests, StrategyCase, StrategyTests


class TestStrategy(StrategyTests):
    @pytest.fixture
    def case(self, cluster: Any) -> StrategyCase:
        options = {"scheduler": cluster.address}
        return StrategyCase("dask", spec=register_strategies()[0], options=options)


class TestExecutor(ExecutorTests):
    @pytest.fixture
    def case(self, cluster: Any) -> ExecutorCase:
        options = {"scheduler": cluster.address}
        # A call whose worker dies is begun again on another one, until none is left.
        return ExecutorCase("dask", spec=register_executors()[0], options=options, kill=False)
