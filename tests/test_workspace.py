"""Workspace as the one object: what it tells of its destination, and how it shows itself."""

from __future__ import annotations

import inspect
import threading
from datetime import datetime, timezone

import pytest

from mixpanel_fetch import (
    BaseEngine,
    ConfigError,
    FetcherService,
    PluginError,
    QueryResult,
    StorageError,
    TableInfo,
    TableNotFoundError,
    TableSummary,
    Workspace,
)
from mixpanel_fetch.keywords import FetchKeywords, WorkspaceFetchKeywords
from mixpanel_fetch.reading import PropertySummary
from mixpanel_fetch.result import FetchResult
from mixpanel_fetch.services import ParallelProfileFetcherService
from mixpanel_fetch.simulator import Fault


class Shelf(BaseEngine):
    """An engine of a host's own that can be read; remembers who called it."""

    capabilities = frozenset({"query"})

    def __init__(self):
        self.calls = []

    def tables(self):
        self.calls.append(("tables", threading.current_thread()))
        return [TableInfo("b<i>", 2, (("distinct_id", "TEXT"),)), TableInfo("c", 0)]

    def query(self, sql):
        self.calls.append(("query", threading.current_thread()))
        if sql == "boom":
            raise KeyError("boom")
        return ShelfAnswer()

    def inspect(self, table, *, top=5):
        self.calls.append(("inspect", threading.current_thread()))
        if table == "none":
            raise TableNotFoundError("there is no table none")
        return TableSummary(table, 4, (PropertySummary("p", 1, {"string": 1}, 1, True, ()),) * top)

    def close(self):
        self.calls.append(("close", threading.current_thread()))


class ShelfAnswer:
    columns = ("n",)
    types = ("INT",)

    def __iter__(self):
        yield (1,)
        yield [2]


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def on_shelf(engage_simulator, workspace_of, shelf):
    return workspace_of(engage_simulator(profiles=1), shelf)


@pytest.fixture
def fetched(engage_simulator, workspace_of, tmp_path):
    """A Workspace on DuckDB with a table of 250 profiles."""
    workspace = workspace_of(
        engage_simulator(profiles=250, page_size=100), f"duckdb:///{tmp_path}/x.duckdb"
    )
    workspace.fetch_profiles("users", parallel=True)
    return workspace


# Reading


def test_sql_asks_the_table_that_was_fetched(fetched):
    answer = fetched.sql(
        "SELECT count(*) AS n, properties->>'plan' AS plan, max(last_seen) AS seen"
        " FROM users GROUP BY plan ORDER BY n DESC"
    )
    assert isinstance(answer, QueryResult)
    assert answer.columns == ("n", "plan", "seen")
    assert answer.types == ("BIGINT", "VARCHAR", "TIMESTAMP")
    assert sum(row[0] for row in answer) == 250
    assert answer.df()["n"].sum() == 250
    assert answer.to_arrow().num_rows == len(answer)


def test_tables_runs_and_properties_of_what_was_fetched(fetched):
    (table,) = fetched.tables()
    assert (table.name, table.rows) == ("users", 250)
    (run,) = fetched.runs()
    assert (run.info.table, run.status, run.total_rows) == ("users", "complete", 250)
    summary = fetched.inspect("users", top=2)
    assert summary.rows == 250
    plan = next(one for one in summary.properties if one.name == "plan")
    assert plan.present == 250
    assert len(plan.top) == 2


def test_a_fetch_goes_on_after_reading(fetched):
    assert fetched.sql("SELECT 1").rows == [(1,)]
    assert fetched.fetch_profiles("others").total_rows == 250
    assert [one.name for one in fetched.tables()] == ["others", "users"]


@pytest.mark.parametrize("query", ["", "SELECT", "DROP TABLE users", "SELECT 1; SELECT 2"])
def test_what_cannot_be_asked_is_one_line(fetched, query):
    with pytest.raises(ConfigError) as caught:
        fetched.sql(query)
    assert "\n" not in str(caught.value)
    assert fetched.sql("SELECT count(*) FROM users").rows == [(250,)]


def test_an_engine_of_the_hosts_own_is_asked_in_the_callers_thread_and_closed(on_shelf, shelf):
    assert on_shelf.sql("anything").rows == [(1,), (2,)]
    assert [one.name for one in on_shelf.tables()] == ["b<i>", "c"]
    assert len(on_shelf.inspect("users", top=3).properties) == 3
    me = threading.current_thread()
    asked = ["query", "tables", "inspect"]
    assert shelf.calls == [(name, me) for one in asked for name in (one, "close")]


def test_an_engine_is_closed_when_it_raises_and_what_it_raises_names_it(on_shelf, shelf):
    with pytest.raises(PluginError, match=r"Shelf failed: .*boom"):
        on_shelf.sql("boom")
    with pytest.raises(TableNotFoundError):
        on_shelf.inspect("none")
    assert [name for name, _ in shelf.calls] == ["query", "close", "inspect", "close"]


def test_a_destination_that_cannot_be_read_says_so(engage_simulator, workspace_of, tmp_path):
    workspace = workspace_of(engage_simulator(profiles=1), f"jsonl:///{tmp_path}/x.jsonl")
    for ask in (workspace.tables, workspace.inspect, lambda: workspace.sql("SELECT 1")):
        with pytest.raises(ConfigError, match=r"jsonl:.*cannot be asked"):
            ask()
    with pytest.raises(ConfigError, match=r"jsonl:.*keeps no runs"):
        workspace.runs()


def test_a_destination_that_is_not_there_is_not_made(engage_simulator, workspace_of, tmp_path):
    workspace = workspace_of(engage_simulator(profiles=1), f"duckdb:///{tmp_path}/x.duckdb")
    with pytest.raises((ConfigError, StorageError)):
        workspace.sql("SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_preview_tells_of_a_fetch_and_stores_nothing(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=250, page_size=100)
    workspace = workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb")
    assert workspace.preview_profiles("users", parallel=True).profiles == 250
    assert simulator.stats.received == 1
    assert list(tmp_path.iterdir()) == []


# In a notebook


def test_a_result_shows_itself(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(3, "503", times=None)])
    workspace = workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb", max_retries=0)
    html = workspace.fetch_profiles("users", parallel=True)._repr_html_()
    for words in ("users", "900", "9 of 10", "pages that failed", ">3<"):
        assert words in html
    assert "interrupted" not in html


def test_a_whole_result_says_nothing_of_what_it_does_not_lack():
    html = FetchResult(
        table="<b>", total_rows=5, duration_seconds=1, fetched_at=datetime.now(timezone.utc)
    )._repr_html_()
    assert "&lt;b&gt;" in html
    for words in ("<b>", "failed", "missing", "rejected", "published", "warning"):
        assert words not in html


def test_lists_and_summaries_show_themselves(fetched, on_shelf):
    assert "users" in fetched.runs()._repr_html_()
    assert "250" in fetched.tables()._repr_html_()
    html = fetched.inspect("users")._repr_html_()
    for words in ("users: 250 profiles", "plan", "100.0%", "string"):
        assert words in html
    assert "b&lt;i&gt;" in on_shelf.tables()._repr_html_()
    assert "25.0%" in on_shelf.inspect("t")._repr_html_()
    assert "and 1,900 more rows" in on_shelf.inspect("t", top=2000)._repr_html_()


def test_a_summary_of_an_empty_table_shows_itself():
    assert "0 profiles" in TableSummary("t", 0, (PropertySummary("p", 0),))._repr_html_()


# Keywords


def parameters(function):
    found = dict(inspect.signature(function).parameters)
    del found["self"]
    return {name: one.annotation for name, one in found.items() if name != "name"}


def annotations(keywords):
    return {name: one.__forward_arg__ for name, one in keywords.__annotations__.items()}


def test_the_keywords_that_editors_see_are_those_of_the_signatures():
    fetch = annotations(FetchKeywords)
    assert fetch | {"parallel": "bool"} == parameters(FetcherService.fetch_profiles)
    assert fetch == parameters(ParallelProfileFetcherService.fetch_profiles)
    own = annotations(WorkspaceFetchKeywords)
    assert own | {"parallel": "bool"} == parameters(Workspace.fetch_profiles)
    stream = parameters(Workspace.stream_profiles)
    assert stream.items() <= (fetch | {"parallel": "bool"}).items()
