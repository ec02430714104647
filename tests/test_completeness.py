"""Whether everything came: what is asked for again, what is refused, and what is put up with."""

from __future__ import annotations

import json
import logging

import duckdb
import pytest

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.tolerance import Tolerance


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.duckdb"


@pytest.fixture
def fetch(workspace_of, path):
    """Fetch from a simulator into table ``users``, five pages at once, without retries."""

    def call(simulator, **given):
        destination = given.pop("destination", f"duckdb:///{path}")
        retries = given.pop("max_retries", 0)
        workspace = workspace_of(simulator, destination, max_retries=retries)
        return workspace.fetch_profiles("users", **{"parallel": True, **given})

    return call


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder that is not there yet, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def count(path, table="users"):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def tables(path):
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
            ).fetchall()
            if not name.startswith("_mixpanel")
        }


def asked(simulator, page):
    return sum(request.page == page for request in simulator.stats.requests)


def twice(number):
    """Return the profiles of pages of which each holds the rows of the one before."""
    return [
        {"$distinct_id": f"u{n}", "$properties": {"n": n, "copy": copy}}
        for copy in range(2)
        for n in range(number)
    ]


# The second pass


def test_pages_that_failed_are_asked_for_once_more_at_the_end(engage_simulator, fetch, path):
    faults = [Fault(3, "500"), Fault(7, "reset"), Fault(8, "404")]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    seen = []
    result = fetch(simulator, on_batch_complete=seen.append)
    assert (result.exit_code, result.total_rows, result.retries) == (0, 1000, 3)
    assert (count(path), result.failures) == (1000, ())
    assert [asked(simulator, page) for page in (3, 7, 8, 9)] == [2, 2, 2, 1]
    assert sorted(progress.page_index for progress in seen) == list(range(10))
    assert all(progress.success for progress in seen)


def test_the_second_pass_says_what_it_asks_for(engage_simulator, fetch, caplog):
    simulator = engage_simulator(profiles=1000, page_size=100, faults=[Fault(3, "500")])
    with caplog.at_level(logging.INFO, logger="mixpanel_fetch"):
        fetch(simulator)
    assert "asking once more for what failed: pages 3" in caplog.messages


def test_a_page_that_failed_in_a_transform_is_not_asked_for_again(engage_simulator, fetch):
    def picky(batch):
        if len(batch) < 100:
            raise ValueError("no")
        return batch

    simulator = engage_simulator(profiles=950, page_size=100)
    result = fetch(simulator, transforms=[picky])
    assert result.failed_page_indices == (9,)
    assert asked(simulator, 9) == 1


@pytest.mark.parametrize(
    ("kind", "requests"), [("400", 1), ("429_hourly", 1), ("429_load_shed", 2), ("503", 2)]
)
def test_what_asking_again_cannot_mend_is_not_asked_for_again(
    engage_simulator, fetch, kind, requests
):
    simulator = engage_simulator(
        profiles=1000, page_size=100, faults=[Fault(3, kind, times=None, retry_after="900")]
    )
    result = fetch(simulator)
    assert (result.exit_code, result.failed_page_indices) == (1, (3,))
    assert asked(simulator, 3) == requests


def test_nothing_is_asked_for_again_once_the_credentials_are_refused(engage_simulator, fetch):
    faults = [Fault(1, "500", times=None), Fault(9, "401", times=None)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    result = fetch(simulator)
    assert (result.exit_code, result.published) == (2, False)
    assert asked(simulator, 1) == 1
    assert [w for w in result.warnings if w.startswith("stopped:")]


# --strict


def test_strict_is_content_where_all_of_it_adds_up(engage_simulator, fetch, path):
    result = fetch(engage_simulator(profiles=1050, page_size=100), strict=True)
    assert (result.exit_code, result.published, count(path)) == (0, True, 1050)


@pytest.mark.parametrize("sink", ["duckdb", "parquet"])
@pytest.mark.parametrize(
    "case",
    [
        ({"faults": [Fault(3, "404", times=None)]}, "1 of 10 pages are missing"),
        ({"faults": [Fault(3, "short", times=None, rows=5)]}, "5 rows were never sent"),
        ({"profiles": twice(500)}, "500 rows came twice"),
        (
            {"profiles": [{"$distinct_id": "a", "$properties": {}}, {"$properties": {}}]},
            "1 rows have no usable id",
        ),
    ],
)
def test_strict_publishes_nothing_otherwise(engage_simulator, fetch, tmp_path, sink, case):
    switches, words = case
    simulator = engage_simulator(**{"profiles": 1000, "page_size": 100, **switches})
    folder = {"duckdb": f"duckdb:///{tmp_path}/x.duckdb", "parquet": f"parquet:///{tmp_path}/x"}
    result = fetch(simulator, strict=True, destination=folder[sink])
    assert (result.exit_code, result.published) == (1, False)
    assert any(words in warning for warning in result.warnings)
    if sink == "duckdb":
        assert "users" not in tables(tmp_path / "x.duckdb")
    else:
        assert not list(tmp_path.rglob("*.parquet"))


def test_strict_leaves_the_old_table_and_resumes(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=500, page_size=100)
    assert fetch(simulator).exit_code == 0
    simulator.set_profiles(1000)
    simulator.set_faults([Fault(3, "404", times=None)])
    assert fetch(simulator, mode="append", strict=True).exit_code == 1
    assert count(path) == 500
    simulator.set_faults([])
    result = fetch(simulator, mode="append", strict=True, resume=True)
    assert (result.exit_code, count(path), asked(simulator, 3)) == (0, 1000, 4)


def test_strict_and_putting_up_with_less_contradict_each_other():
    with pytest.raises(ConfigError, match="contradict"):
        Tolerance(strict=True, partial=True)
    with pytest.raises(ConfigError, match="allow_missing"):
        Tolerance(missing=-1)


# --allow-missing


@pytest.mark.parametrize(("allowed", "code"), [(0, 1), (2, 1), (3, 0)])
def test_a_known_shortfall_may_be_allowed(engage_simulator, fetch, path, allowed, code):
    faults = [Fault(6, "short", times=None, rows=3)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    result = fetch(simulator, allow_missing=allowed)
    assert (result.exit_code, result.missing_rows, count(path)) == (code, 3, 997)


@pytest.mark.parametrize(("allowed", "code", "failed"), [(49, 1, (9,)), (50, 0, ())])
def test_an_empty_page_is_part_of_an_allowed_shortfall(
    engage_simulator, fetch, allowed, code, failed
):
    simulator = engage_simulator(
        profiles=950, page_size=100, faults=[Fault(9, "empty", times=None)]
    )
    result = fetch(simulator, allow_missing=allowed)
    assert (result.exit_code, result.failed_page_indices) == (code, failed)


def test_strict_counts_what_may_be_missing(engage_simulator, fetch):
    faults = [Fault(6, "short", times=None, rows=3)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    assert fetch(simulator, strict=True, allow_missing=3).exit_code == 0


# How many there are


@pytest.mark.parametrize("profiles", [1, 99, 100, 101, 1000, 1234])
def test_without_a_total_pages_are_looked_for(engage_simulator, fetch, path, profiles):
    simulator = engage_simulator(profiles=profiles, page_size=100, total_on="never")
    result = fetch(simulator)
    assert (result.exit_code, result.total_rows, count(path)) == (0, profiles, profiles)
    assert result.total_pages == max(1, -(-profiles // 100))
    told = [w for w in result.warnings if "tells of no other" in w]
    assert bool(told) == (profiles > 100)


def test_without_a_total_a_short_first_page_is_asked_for_once_more(engage_simulator, fetch, path):
    simulator = engage_simulator(
        profiles=300, page_size=100, total_on="never", faults=[Fault(0, "short", rows=7)]
    )
    assert (fetch(simulator).exit_code, count(path)) == (0, 300)


def test_an_empty_answer_without_a_total_is_an_empty_table(engage_simulator, fetch, path):
    result = fetch(engage_simulator(profiles=0, total_on="never"))
    assert (result.exit_code, count(path)) == (0, 0)


def test_a_full_page_0_is_not_taken_at_its_word(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=1000, page_size=100, total_counts="results")
    result = fetch(simulator)
    assert (result.exit_code, count(path), result.total_pages) == (0, 1000, 10)


def test_an_exactly_full_page_costs_a_look_at_the_next(engage_simulator, fetch):
    simulator = engage_simulator(profiles=100, page_size=100)
    result = fetch(simulator)
    assert (result.exit_code, result.total_pages, result.warnings) == (0, 1, ())
    assert asked(simulator, 1) == 2


# Duplicates


def test_profiles_served_twice_are_told(
    engage_simulator, environment_of, mp, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    environment_of(engage_simulator(profiles=twice(300), page_size=100))
    done = mp("fetch", "profiles", "users", "-p")
    document = json.loads(done.out)
    assert (done.code, document["total_rows"], document["duplicate_rows"]) == (0, 300, 300)
    assert "300 rows of users came twice, so as many others may not have been sent" in done.err
    assert count(tmp_path / "mixpanel.duckdb") == 300
    done = mp("fetch", "profiles", "strictly", "-p", "--strict")
    assert (done.code, json.loads(done.out)["published"]) == (1, False)
    assert "strictly was left as it was: 300 rows came twice" in done.err


def test_strict_counts_for_a_sink_that_cannot(engage_simulator, fetch, tmp_path):
    target = tmp_path / "x.jsonl"
    simulator = engage_simulator(profiles=twice(30), page_size=25)
    result = fetch(simulator, destination=f"jsonl:///{target}", strict=True)
    assert (result.exit_code, result.published, target.exists()) == (1, False, False)
    assert any("30 rows came twice" in warning for warning in result.warnings)
    simulator.set_profiles(60)
    result = fetch(simulator, destination=f"jsonl:///{target}", strict=True)
    assert (result.exit_code, len(target.read_text().splitlines())) == (0, 60)


# What a person is told


def test_the_text_says_how_to_go_on(engage_simulator, environment_of, mp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment_of(engage_simulator(page_size=100, faults=[Fault(3, "404", times=None)]))
    hint = "mp fetch profiles users --parallel --format text --resume"
    assert hint in mp("fetch", "profiles", "users", "-p", "--format", "text").out
    target = ("--to", f"jsonl:///{tmp_path}/x.jsonl")
    assert hint not in mp("fetch", "profiles", "users", "-p", "--format", "text", *target).out


def test_retries_are_told_when_asked_for(
    engage_simulator, environment_of, mp, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    environment_of(engage_simulator(page_size=100, faults=[Fault(3, "503"), Fault(4, "404")]))
    done = mp("fetch", "profiles", "two", "-p", "-v")
    assert (done.code, json.loads(done.out)["retries"]) == (0, 2)
    assert "page 3: " in done.err
    assert "asking once more for what failed: pages 4" in done.err


# A page that comes at another time


@pytest.mark.parametrize(
    "kind",
    [
        *("500", "502", "503", "504", "429_load_shed", "429_concurrency", "429_hourly"),
        *("reset", "reset_midway", "truncate", "bad_json", "html", "close", "not_object"),
        *("empty", "wrong_page", "short", "bad_gzip"),
    ],
)
def test_a_fault_that_passes_costs_nothing(engage_simulator, fetch, path, kind):
    faults = [Fault(12, kind, retry_after="0" if kind.startswith("429") else None)]
    simulator = engage_simulator(profiles=2450, page_size=100, faults=faults)
    result = fetch(simulator, max_retries=1)
    assert (result.exit_code, result.total_rows, result.duplicate_rows) == (0, 2450, 0)
    assert (count(path), asked(simulator, 12)) == (2450, 2)
    assert result.retries == 1


@pytest.mark.parametrize(("times", "failed"), [(None, (6,)), (1, ())])
def test_a_page_that_is_empty_in_the_middle_is_named(engage_simulator, fetch, path, times, failed):
    faults = [Fault(6, "empty", times=times)]
    simulator = engage_simulator(profiles=1000, page_size=100, faults=faults)
    result = fetch(simulator, max_retries=1)
    assert (result.exit_code, result.failed_page_indices) == (len(failed), failed)
    assert count(path) == 1000 - 100 * len(failed)


@pytest.mark.parametrize("fails", [False, True])
def test_a_resume_remembers_what_earlier_tries_lacked(engage_simulator, fetch, path, fails):
    faults = [Fault(1, "short", times=4, rows=7)] + [Fault(3, "404", times=None)] * fails
    profiles = [{"$distinct_id": f"u{n}", "$properties": {}} for n in range(499)]
    simulator = engage_simulator(
        profiles=[*profiles, {"$properties": {}}], page_size=100, faults=faults
    )
    first = fetch(simulator)
    assert (first.exit_code, first.missing_rows, first.rejected_rows) == (1, 7 + 100 * fails, 1)
    simulator.set_faults([])
    result = fetch(simulator, resume=True)
    assert (result.exit_code, result.missing_rows, result.rejected_rows) == (1, 7, 1)
    assert (result.short_pages, count(path), result.failed_pages) == ((1,), 492, 0)
    assert fetch(simulator, resume=True).missing_rows == 7


def test_a_short_first_page_is_asked_for_once_more(engage_simulator, fetch, path):
    simulator = engage_simulator(profiles=500, page_size=100, faults=[Fault(0, "short", rows=7)])
    result = fetch(simulator)
    assert (result.exit_code, result.retries, count(path)) == (0, 1, 500)
    assert simulator.stats.counted_queries == 1


@pytest.mark.parametrize(
    "case",
    [([], True, 5), (["--no-shared-quota"], False, 5), (["--max-concurrency", "2"], True, 2)],
)
def test_the_limits_may_be_set(engage_simulator, environment_of, mp, cache, case):
    option, share, limit = case
    simulator = engage_simulator(profiles=1000, page_size=100, latency=0.1, gather=limit)
    environment_of(simulator)
    assert mp("fetch", "profiles", "-p", *option).code == 0
    assert cache.exists() == share
    assert simulator.stats.max_in_flight == limit
