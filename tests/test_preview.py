"""`mp check` and `--dry-run`: what a fetch would do, with its first request and nothing written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch.cli.check import preview_lines
from mixpanel_fetch.errors import (
    AuthenticationError,
    ConfigError,
    FetchInterruptedError,
    PluginError,
    TableExistsError,
    TableNotFoundError,
)
from mixpanel_fetch.hookspecs import BaseEngine
from mixpanel_fetch.simulator import Fault

MIB = 1 << 20


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def check(workspace_of):
    """Preview a fetch from a simulator."""

    def run(simulator, name="users", *, to="duckdb:///x.duckdb", **keywords):
        return workspace_of(simulator, to).preview_profiles(name, **keywords)

    return run


def test_it_asks_for_one_page_and_leaves_nothing_behind(engage_simulator, check):
    simulator = engage_simulator(profiles=2500, page_size=100, latency=0.1)
    found = check(simulator, parallel=True)
    assert len(simulator.stats.requests) == 1
    assert list(Path().iterdir()) == []
    assert (found.profiles, found.total_pages, found.page_size) == (2500, 25, 100)
    assert (found.table, found.mode, found.table_exists) == ("users", "create", False)
    assert (found.queries, found.queries_left, found.workers) == (1, None, 5)  # loopback: no hour
    assert (found.first_page_rows, found.first_page_kept) == (100, 100)
    assert found.inflight_bytes == 64 * MIB
    assert found.page_seconds >= 0.1
    assert found.seconds == pytest.approx(6 * found.page_seconds)  # page 0, then five times five
    assert found.download_bytes > 2500 * 300
    assert found.warnings == ()


def test_one_page_after_the_other_takes_a_round_each(engage_simulator, check):
    found = check(engage_simulator(profiles=700, page_size=100))
    assert found.workers == 1
    assert found.seconds == pytest.approx(7 * found.page_seconds)


def test_waits_and_failed_tries_do_not_count_as_the_page(engage_simulator, check):
    simulator = engage_simulator(profiles=10, faults=[Fault(0, "503", retry_after="4")])
    found = check(simulator)
    assert len(simulator.stats.requests) == 2
    assert found.queries == 1
    assert found.page_seconds < 2.0  # with the wait it would be more


def test_plugins_stand_in_the_order_in_which_they_run(engage_simulator, check):
    found = check(
        engage_simulator(), parallel=True, transforms=["drop:$email", "rename:plan=tier", len_less]
    )
    strategy, first, second, third, sink = found.plugins
    assert strategy.startswith("strategy gevent-pool (mixpanel-fetch ")
    assert first.startswith("transform drop:$email (mixpanel-fetch ")
    assert second.startswith("transform rename:plan=tier (mixpanel-fetch ")
    assert third == "transform len_less"
    assert sink.startswith("sink duckdb (mixpanel-fetch ")


def len_less(batch):
    """Keep nothing."""


def test_the_transforms_see_page_0(engage_simulator, check):
    found = check(engage_simulator(profiles=300), transforms=[len_less])
    assert (found.first_page_rows, found.first_page_kept) == (300, 0)


def test_a_transform_that_cannot_work_shows_before_the_download(engage_simulator, check):
    def breaks(batch):
        raise KeyError("plan")

    with pytest.raises(PluginError, match="breaks failed: KeyError") as caught:
        check(engage_simulator(), transforms=[breaks])
    assert caught.value.exit_code == 1
    assert list(Path().iterdir()) == []


def test_an_asked_page_size_and_a_sized_one_say_what_they_cost(engage_simulator, check):
    simulator = engage_simulator(profiles=4000, page_size=50)
    asked = check(simulator, parallel=True, page_size=400)
    assert (asked.page_size, asked.asked_page_size, asked.queries) == (400, 400, 1)
    sized = check(
        simulator, parallel=True, page_size="auto", page_bytes=200_000, max_inflight_bytes=MIB
    )
    assert 250 < sized.page_size < 500
    assert (sized.queries, sized.inflight_bytes) == (2, MIB)


def test_the_hour_is_told_where_it_is_known(engage_simulator, check):
    found = check(engage_simulator())
    assert not any("are left" in line for line in preview_lines(found))
    (quota,) = (line for line in preview_lines(replace(found, queries_left=57)) if "quota" in line)
    assert quota.endswith("; 57 are left, as far as this machine knows")


def test_what_is_in_the_way_is_raised_before_a_request(engage_simulator, workspace_of, check):
    simulator = engage_simulator(profiles=300)
    workspace_of(simulator, "duckdb:///x.duckdb").fetch_profiles("users")
    simulator.reset_stats()
    with pytest.raises(TableExistsError):
        check(simulator)
    with pytest.raises(TableNotFoundError):
        check(simulator, "others", mode="append")
    with pytest.raises(ConfigError, match="cannot append"):
        check(simulator, to="parquet:///x.parquet", append=True)
    with pytest.raises(ConfigError, match="cannot resume"):
        check(simulator, to="jsonl:///x.jsonl", resume=True)
    assert len(simulator.stats.requests) == 0
    there = check(simulator, mode="replace")
    assert (there.table_exists, there.table_rows) == (True, 300)
    missing = check(simulator, "others", mode="merge")
    assert (missing.table_exists, missing.table_rows) == (False, None)
    unknown = check(simulator, to=SilentEngine(), mode="replace")
    assert (unknown.table_exists, unknown.table_rows) == (None, None)
    assert rows_of("users") == 300


class SilentEngine(BaseEngine):
    """Says nothing of its tables."""

    def begin(self, table, mode, run):
        raise AssertionError("a preview begins nothing")


def rows_of(table):
    with duckdb.connect("x.duckdb", read_only=True) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_refused_credentials_are_raised(engage_simulator, check):
    simulator = engage_simulator(faults=[Fault(0, "401", times=None)])
    with pytest.raises(AuthenticationError):
        check(simulator)


def test_no_match_and_many_pages_are_warned_of(engage_simulator, check):
    (none,) = check(engage_simulator(profiles=0)).warnings
    assert "no profile matches" in none
    (many,) = check(engage_simulator(profiles=700, page_size=10)).warnings
    assert "70 pages: Mixpanel allows 60 queries" in many


def test_a_cap_of_workers_is_warned_of(engage_simulator, check):
    found = check(engage_simulator(), parallel=True, max_workers=50)
    assert found.workers == 5
    assert any("50" in warning for warning in found.warnings)


@pytest.fixture
def interrupted(engage_simulator, workspace_of):
    """A simulator, and in x.duckdb a run of it that lacks page 6 of 7."""
    simulator = engage_simulator(profiles=700, page_size=100, faults=[Fault(6, "404", times=None)])
    workspace = workspace_of(simulator, "duckdb:///x.duckdb")
    result = workspace.fetch_profiles("users", mode="replace", parallel=True)
    assert (result.published, result.resumable) == (False, True)
    simulator.reset_stats()
    return simulator, result


def test_a_resume_costs_nothing_and_says_what_it_lacks(interrupted, check):
    simulator, result = interrupted
    found = check(simulator, resume=True)
    assert len(simulator.stats.requests) == 0
    assert (found.run_id, found.landed_pages, found.total_pages) == (result.run_id, 6, 7)
    assert (found.mode, found.queries, found.seconds) == ("replace", 0, None)


def test_a_resume_of_something_else_is_refused(interrupted, check):
    with pytest.raises(ConfigError, match="differs in the query"):
        check(interrupted[0], resume=True, where='properties["plan"] == "pro"')


def test_without_resume_the_interrupted_run_is_warned_of_and_stays(
    interrupted, check, workspace_of
):
    simulator, result = interrupted
    (warning,) = check(simulator).warnings
    assert "would be dropped; --resume goes on" in warning
    assert check(simulator, resume=True).run_id == result.run_id


def test_a_resume_of_what_is_complete_or_was_never_begun_says_so(
    engage_simulator, workspace_of, check
):
    simulator = engage_simulator(profiles=300)
    (new,) = check(simulator, resume=True).warnings
    assert "it would be a new one" in new
    workspace_of(simulator, "duckdb:///x.duckdb").fetch_profiles("users")
    done = check(simulator, resume=True)
    assert "nothing would be fetched" in done.warnings[0]
    assert done.landed_pages == done.total_pages


def test_it_can_be_cancelled(engage_simulator, check):
    import threading

    stop = threading.Event()
    stop.set()
    with pytest.raises(FetchInterruptedError):
        check(engage_simulator(latency=5.0), cancel=stop)


def test_an_unknown_keyword_is_refused(engage_simulator, check):
    with pytest.raises(TypeError, match="no_such"):
        check(engage_simulator(), no_such=1)


# The commands


def test_check_and_dry_run_say_the_same(engage_simulator, environment_of, mp):
    simulator = engage_simulator(profiles=2500)
    environment_of(simulator)
    documents = []
    for command in (["check", "users"], ["fetch", "profiles", "users", "--dry-run"]):
        done = mp(*command, "-p", "--transform", "drop:$email")
        assert (done.code, done.err) == (0, "")
        documents.append(json.loads(done.out))
    varying = ("seconds", "page_seconds")
    first, second = ({k: v for k, v in one.items() if k not in varying} for one in documents)
    assert first == second
    assert (first["dry_run"], first["profiles"], first["total_pages"]) == (True, 2500, 3)
    assert first["warnings"] == []
    assert list(Path().iterdir()) == []


def test_the_text_says_everything_in_plain_words(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=2500))
    out = mp("check", "users", "-p", "--format", "text", "--transform", "drop:$email").out
    lines = out.splitlines()
    assert lines[0] == "2,500 profiles in 3 pages would go to table users"
    assert lines[1] == "  to        duckdb:///mixpanel.duckdb, create (there is no table yet)"
    assert lines[2] == "  pages     of 1,000 profiles (Mixpanel's own size)"
    assert lines[3].startswith("  time      about ")
    assert lines[3].partition(":")[2].startswith(" 2 pages at once, each like the first (")
    assert lines[4].endswith(" to download, at most 64 MiB of pages in memory")
    assert lines[5] == "  quota     1 of the queries that count against the project's hour"
    assert [line.split()[0] for line in lines[6:9]] == ["strategy", "transform", "sink"]
    assert lines[-1] == "Nothing was written."


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--append"], "TableNotFoundError"),
        (["--transform", "select"], "ConfigError"),
        (["--to", "nosuch://x"], "PluginError"),
        (["--where", "properties["], "QueryError"),
        (["--append", "--replace"], "ConfigError"),
    ],
)
def test_it_exits_as_the_fetch_would(engage_simulator, environment_of, mp, arguments, kind):
    environment_of(engage_simulator())
    for command in (["check"], ["fetch", "profiles", "--dry-run"], ["fetch", "profiles"]):
        done = mp(*command, *arguments)
        assert (done.code, json.loads(done.out)["error"]["type"]) == (3, kind)


def test_wrong_credentials_and_an_existing_table(engage_simulator, environment_of, mp, monkeypatch):
    environment_of(engage_simulator())
    assert mp("fetch", "profiles").code == 0
    assert mp("check").code == 3
    assert mp("check", "--replace").code == 0
    monkeypatch.setenv("MP_SECRET", "hunter2-hunter2")
    done = mp("check", "--replace")
    assert done.code == 2
    assert "hunter2" not in done.out + done.err


def test_warnings_are_part_of_the_answer(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=0))
    done = mp("check", "--format", "text")
    assert done.err == ""
    assert "  warning   no profile matches" in done.out


def test_a_destination_on_stdout_leaves_stdout_to_the_answer(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=300))
    done = mp("check", "--to", "jsonl://-")
    assert json.loads(done.out)["profiles"] == 300
