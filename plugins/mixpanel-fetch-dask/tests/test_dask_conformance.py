from __future__ import annotations

from typing import Any

import pytest
from mixpanel_fetch_dask import register_strategies

from mixpanel_fetch.testing import StrategyCase, StrategyTests


class TestDask(StrategyTests):
    @pytest.fixture
    def case(self, cluster: Any) -> StrategyCase:
        options = {"scheduler": cluster.address}
        return StrategyCase("dask", spec=register_strategies()[0], options=options)
