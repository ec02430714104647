"""One sink on the bench: engines of it, loads into its table, and what can be read back."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.config import Destination
from mixpanel_fetch.model import LoadReport, Mode, RunInfo
from mixpanel_fetch.plan import Sink
from mixpanel_fetch.plugins import PluginHost
from mixpanel_fetch.protocols import StorageEngine, TableLoad
from mixpanel_fetch.testing.cases import Row, SinkCase
from mixpanel_fetch.testing.engines import make_run
from mixpanel_fetch.testing.fetching import fetch, host_of
from mixpanel_fetch.testing.promises import promised
from mixpanel_fetch.testing.rows import Comparable, comparable, differences, expected_rows

if TYPE_CHECKING:
    from mixpanel_fetch.result import RunResult
    from mixpanel_fetch.simulator import EngageSimulator

Pages = Mapping[int, Batch]
SEEN = datetime(2026, 1, 31, 12, 30, 45, 678901, tzinfo=timezone.utc)


def batch(*ids: str, value: Any = 1, **more: Any) -> Batch:
    """Return a batch with one row an id, all with the property ``value``."""
    properties = {"value": value, **more}
    return Batch.from_rows(
        {"distinct_id": one, "properties": properties, "last_seen": SEEN} for one in ids
    )


class SinkBench:
    """What the tests of a sink do with it. A context manager: it closes what is left open."""

    def __init__(self, case: SinkCase) -> None:
        self.case = case
        self.table = case.table
        self._engines: list[StorageEngine] = []

    def __enter__(self) -> SinkBench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for engine in self._engines:
            with suppress(Exception):
                engine.close()

    # What is tested

    @cached_property
    def host(self) -> PluginHost:
        """The plugins there are."""
        return host_of(self.case.spec)

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """What the sink claims: its engine, else its SinkSpec."""
        return self.sink().capabilities

    @property
    def keyed(self) -> bool:
        """Whether ids are unique in a table."""
        return "keyed" in self.capabilities

    @property
    def streams(self) -> bool:
        """Whether nothing can be taken back."""
        return "stream" in self.capabilities

    def needs(self, *capabilities: str) -> None:
        """Skip the test unless the sink claims all of ``capabilities``; "create" is everyone's."""
        for one in capabilities:
            if one != "create" and one not in self.capabilities:
                pytest.skip(f"the sink does not claim {one}")

    def needs_taking_back(self) -> None:
        """Skip the test of a sink that shows its rows at once."""
        if self.streams:
            pytest.skip("a stream cannot take anything back")

    def sink(self, destination: str | None = None) -> Sink:
        """Return a new engine and its label."""
        case = self.case
        if case.engine is not None:
            engine = case.engine()
            claims: Any = getattr(engine, "capabilities", frozenset())
            sink = Sink(engine, getattr(engine, "label", case.destination), frozenset(claims))
        else:
            target = Destination.parse(destination or case.destination)
            registered = self.host.sink(target.sink)
            engine = registered.make(target.location, options={**case.options, **target.options})
            claims = getattr(engine, "capabilities", registered.spec.capabilities)
            sink = Sink(engine, target.label, frozenset(claims), registered)
        self._engines.append(sink.engine)
        return sink

    def engine(self) -> Any:
        """Return a new engine, as the factory makes it."""
        return self.sink().engine

    # Runs

    def info(self, mode: Mode = "create", total_pages: int = 1, **changes: Any) -> RunInfo:
        """Return a run, with an id of its own unless ``changes`` has one."""
        return make_run(mode, **{"table": self.table, "total_pages": total_pages, **changes})

    def begin(
        self, run: RunInfo, engine: Any = None, *, checked_as: Mode | None = None
    ) -> tuple[Any, Any]:
        """Check and begin, as the pipeline does; return the engine and the load."""
        engine = self.engine() if engine is None else engine
        check = getattr(engine, "check", None)
        if check is not None:
            check(run.table, checked_as or run.mode)
        return engine, engine.begin(run.table, run.mode, run)

    def store(self, pages: Pages, mode: Mode = "create", **changes: Any) -> LoadReport:
        """Store ``pages`` in one run, in the order given; return what commit said."""
        fields = {"total_pages": max(pages, default=0) + 1, **changes}
        engine, load = self.begin(self.info(mode, **fields))
        write_all(load, pages)
        report: LoadReport | None = load.commit()
        engine.close()
        return report or LoadReport()

    def leave(self, pages: Pages, run: RunInfo, *, end: str = "crash") -> None:
        """Write ``pages`` and leave the run: ``suspend``, ``abort``, or ``crash`` as if killed."""
        engine, load = self.begin(run)
        write_all(load, pages)
        if end == "crash":
            self._engines.remove(engine)
            if self.case.crash is not None:
                self.case.crash(engine)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # nobody closes after a crash
                del engine, load
                gc.collect()
            return
        getattr(load, end, load.abort)()
        engine.close()

    def fetch(self, simulator: EngageSimulator, **options: Any) -> RunResult:
        """Run a whole fetch into the sink, through the pipeline."""
        destination = self.case.destination if self.case.engine is None else self.case.engine()
        given = {"options": self.case.options, "page_size": 25, **options}
        return fetch(simulator, destination, self.host, self.table, **given)

    # What is there

    def rows(self, table: str | None = None) -> list[Comparable] | None:
        """Return the rows of the table in a form to be compared, None where there is none."""
        found = self.case.rows(table or self.table)
        if found is None:
            return None
        return [comparable(_checked(row), self.case.last_seen_step) for row in found]

    def expected(self, pages: Pages) -> list[Comparable]:
        """Return what the table must hold of ``pages``."""
        return expected_rows(pages, self.case, keyed=self.keyed)

    def assert_holds(self, pages: Pages, words: str, table: str | None = None) -> None:
        """Assert that the table holds the rows of ``pages`` and no others."""
        __tracebackhide__ = True
        found = self.rows(table)
        assert found is not None, f"{words}: there is no table {table or self.table}"
        _raise_on(differences(found, self.expected(pages)), words)

    def assert_same(self, before: list[Comparable] | None, words: str) -> None:
        """Assert that the table is as it was."""
        __tracebackhide__ = True
        found = self.rows()
        if before is None:
            # A store of which nobody can tell whether it is empty or not there is empty.
            assert not found, f"{words}: there are {len(found or ())} rows now"
            if not self.streams:
                assert found is None, f"{words}: there is a table {self.table} now"
            return
        assert found is not None, f"{words}: there is no table {self.table} any more"
        _raise_on(differences(found, before), words)

    def lay(self, *ids: str, value: Any = "old") -> list[Comparable] | None:
        """Store old rows; return what the table holds then."""
        self.store({0: batch(*(ids or ("old-1", "old-2")), value=value)})
        return self.rows()


def write_all(load: TableLoad, pages: Pages) -> None:
    """Write ``pages`` in the order given, and check what each call returns."""
    __tracebackhide__ = True
    for index, page in pages.items():
        with promised(f"write({index}, batch of {len(page)}) must land the page"):
            rows = load.write(index, page)
        assert rows == len(page), (
            f"write must return the rows landed: {len(page)} for page {index}, not {rows!r}"
        )


def _raise_on(different: str, words: str) -> None:
    __tracebackhide__ = True
    if different:
        raise AssertionError(f"{words}: {different}")


def ids_of(rows: Iterable[Comparable] | None) -> list[str]:
    """Return the ids, sorted."""
    return sorted(row[0] for row in rows or ())


def _checked(row: Row) -> Row:
    missing = {"distinct_id", "properties", "last_seen"} - set(row)
    assert not missing, f"SinkCase.rows returned a row without {', '.join(sorted(missing))}"
    return row
