"""The conformance kit for sinks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mixpanel_fetch.testing.cases import SinkCase
from mixpanel_fetch.testing.sink_bench import SinkBench
from mixpanel_fetch.testing.sink_columns import SinkColumnsTests
from mixpanel_fetch.testing.sink_concurrent import SinkConcurrentTests
from mixpanel_fetch.testing.sink_history import SinkHistoryTests
from mixpanel_fetch.testing.sink_manners import SinkFetchTests, SinkSecretTests
from mixpanel_fetch.testing.sink_modes import SinkDuplicateTests, SinkModeTests
from mixpanel_fetch.testing.sink_reading import SinkReadingTests
from mixpanel_fetch.testing.sink_resume import SinkResumeTests
from mixpanel_fetch.testing.sink_runs import SinkRunTests
from mixpanel_fetch.testing.sink_sync import SinkSyncTests
from mixpanel_fetch.testing.sink_values import SinkValueTests


class SinkTests(
    SinkRunTests,
    SinkValueTests,
    SinkModeTests,
    SinkDuplicateTests,
    SinkResumeTests,
    SinkReadingTests,
    SinkSyncTests,
    SinkHistoryTests,
    SinkColumnsTests,
    SinkConcurrentTests,
    SinkFetchTests,
    SinkSecretTests,
):
    """Whether a sink keeps what :mod:`mixpanel_fetch.protocols` promises of it.

    Subclass it, name the class ``Test...``, and override the fixture ``case``. What the sink
    claims (``capabilities``) is tested; what it does not claim must be refused, and its tests are
    skipped.
    """

    @pytest.fixture
    def case(self) -> SinkCase:
        """Override: return the SinkCase to be tested."""
        raise NotImplementedError("override the fixture case: return a SinkCase")

    @pytest.fixture
    def bench(self, case: SinkCase) -> Iterator[SinkBench]:
        """Hold what a test does with the sink; not to be overridden."""
        with SinkBench(case) as bench:
            yield bench
