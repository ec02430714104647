"""The pytest plugin of ``mp plugins check``: the kits with their cases, and what became of them.

Loaded in the process that :mod:`mixpanel_fetch.cli.plugins.kit_run` starts, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mixpanel_fetch.cli.plugins.kit_request import TEMPORARY, KitRequest
from mixpanel_fetch.plugins import one_line_of
from mixpanel_fetch.secret import redact_uri
from mixpanel_fetch.testing import (
    ExecutorCase,
    ExecutorTests,
    SinkCase,
    SinkTests,
    StrategyCase,
    StrategyTests,
    TransformCase,
    TransformTests,
)

NO_READER = "the rows cannot be read back without --rows"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the request's file."""
    parser.addoption("--kit-request", type=Path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write what became of a test, one JSON object a line."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        error = call.excinfo.value if call.excinfo else None
        verdict = {"test": item.name, "outcome": report.outcome, "words": _words(error)}
        with Path(_asked(item.config).report).open("a", encoding="utf-8") as file:
            file.write(json.dumps(verdict) + "\n")
    return report


class SinkCheck(SinkTests):
    """The kit upon the sink that was asked for."""

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> SinkCase:
        """Return the case: a new folder, or a new table, for each test."""
        return sink_case(_asked(request.config), tmp_path)


class TransformCheck(TransformTests):
    """The kit upon the transform that was asked for."""

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> TransformCase:
        """Return the case."""
        return transform_case(_asked(request.config))


class StrategyCheck(StrategyTests):
    """The kit upon the strategy that was asked for."""

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> StrategyCase:
        """Return the case."""
        asked = _asked(request.config)
        return StrategyCase(asked.name, spec=asked.registered().spec, options=asked.options)


class ExecutorCheck(ExecutorTests):
    """The kit upon the executor that was asked for."""

    @pytest.fixture
    def case(self, request: pytest.FixtureRequest) -> ExecutorCase:
        """Return the case. Its workers may be others' as well, so none is killed."""
        asked = _asked(request.config)
        spec = asked.registered().spec
        return ExecutorCase(asked.name, spec=spec, options=asked.options, kill=False)


def sink_case(asked: KitRequest, folder: Path) -> SinkCase:
    """Return the case of a sink, for one test; ``folder`` is that test's own."""
    destination = asked.destination.replace(TEMPORARY, str(folder))
    reader = asked.reader()

    def rows(table: str) -> Any:
        if reader is None:
            pytest.skip(NO_READER)
        return reader(destination, table)

    return SinkCase(
        destination,
        rows=rows,
        spec=asked.registered().spec,
        options=asked.options,
        table="profiles" if TEMPORARY in asked.destination else f"mp_check_{uuid4().hex[:12]}",
        secrets=asked.secrets,
    )


def transform_case(asked: KitRequest) -> TransformCase:
    """Return the case of a transform."""
    return TransformCase(
        asked.written,
        spec=asked.registered().spec,
        options=asked.options,
        changes_ids="ids" in asked.changes,
        changes_values="values" in asked.changes,
        changes_last_seen="last-seen" in asked.changes,
    )


def _asked(config: pytest.Config) -> KitRequest:
    file: Path = config.getoption("--kit-request")
    return KitRequest.load(file)


def _words(error: BaseException | None) -> str:
    """Return the kit's own words, or what else was raised, in one line without secrets."""
    if error is None:
        return ""
    if isinstance(error, (AssertionError, pytest.skip.Exception)):
        lines = str(error).splitlines() or ["it failed without a word"]
        return redact_uri(lines[0])
    return one_line_of(error)
