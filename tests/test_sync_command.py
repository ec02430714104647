"""``mp fetch profiles`` with every query option, and the options that keep a table in step."""

from __future__ import annotations

import json

import duckdb
import pytest

from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

PEOPLE = SyntheticProfiles(300)
IDS = [PEOPLE.distinct_id(index) for index in range(300)]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def simulator(engage_simulator, environment_of):
    running = engage_simulator(
        profiles=300, page_size=100, groups={"-5": [{"$distinct_id": "acme", "$properties": {}}]}
    )
    environment_of(running)
    return running


def result_of(done):
    assert done.code == 0, done.err
    return json.loads(done.out)


def ids_in(table="profiles"):
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        return {
            each for (each,) in connection.execute(f"SELECT distinct_id FROM {table}").fetchall()
        }


def test_ids_come_from_arguments_and_from_a_file(simulator, mp, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(IDS[1:150]) + "\n\n")
    result = result_of(
        mp("fetch", "profiles", "-p", "--distinct-id", IDS[0], "--distinct-id", "@ids.txt")
    )
    assert (result["total_rows"], ids_in()) == (150, set(IDS[:150]))


def test_groups_and_data_views_are_asked_for(simulator, mp):
    done = mp("fetch", "profiles", "companies", "--group-id", "-5", "--workspace-id", "77")
    assert result_of(done)["total_rows"] == 1
    assert ids_in("companies") == {"acme"}
    asked = simulator.stats.requests[-1]
    assert (asked.form["data_group_id"], asked.query["workspace_id"]) == ("-5", "77")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--distinct-id", "@missing.txt"], "cannot read missing.txt"),
        (["--distinct-id", "a", "--where", "true"], "nothing to choose"),
        (["--group-id", "company"], "up to 19 digits"),
        (["--include-all-users"], "needs cohort_id"),
        (["--behaviors", "{", "--where", "true"], "behaviors is not JSON"),
        (["--history"], "add --incremental or --full"),
        (["--incremental", "--replace"], "by merging"),
        (["--incremental", "--max-gone", "half"], "0% to 100%"),
        (["--incremental", "--full-every", "weekly"], "no duration"),
        (["--incremental", "--overlap", "never"], "is a duration"),
        (["--incremental", "--distinct-id", "a"], "named profiles"),
        (["--incremental", "--to", "jsonl:///x.jsonl"], "cannot keep a table in step"),
    ],
)
def test_what_cannot_be_costs_no_request(simulator, mp, arguments, words):
    done = mp("fetch", "profiles", *arguments)
    assert done.code == 3
    assert words in done.err
    assert done.err.count("\n") == 1
    assert simulator.stats.requests == ()


def test_a_table_is_kept_in_step(simulator, mp):
    first = result_of(mp("fetch", "profiles", "users", "-p", "--incremental", "--history"))
    assert (first["sync"], first["inserted"]) == ("full", 300)
    second = result_of(mp("fetch", "profiles", "users", "-p", "--incremental", "--history"))
    assert (second["sync"], second["updated"], second["gone"]) == ("incremental", 0, 0)
    simulator.set_profiles([PEOPLE[index] for index in range(290)])
    third = result_of(mp("fetch", "profiles", "users", "-p", "--full", "--history"))
    assert (third["sync"], third["gone"], third["unchanged"]) == ("full", 10, 290)
    text = mp("fetch", "profiles", "users", "--full", "--history", "--format", "text").out
    assert text.startswith("Done: table users is in step (full), 290 profiles came")


def test_a_check_says_which_kind_it_would_be(simulator, mp):
    result_of(mp("fetch", "profiles", "users", "--incremental"))
    found = result_of(mp("check", "users", "--incremental"))
    assert found["sync"] == "incremental"
    assert (
        "in step   by what changed" in mp("check", "users", "--incremental", "--format", "text").out
    )


def test_columns_are_kept_after_a_fetch_and_drift_is_told(simulator, mp, tmp_path):
    result_of(mp("fetch", "profiles", "users", "-p", "--columns"))
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        first = connection.execute("SELECT name, plan, seats FROM users_columns LIMIT 1").fetchone()
    assert [type(value) for value in first] == [str, str, int]
    assert (tmp_path / "users.columns.json").exists()
    simulator.set_profiles([{"$distinct_id": "a", "$properties": {"plan": 7}}])
    again = ["fetch", "profiles", "users", "--replace", "--columns"]
    done = mp(*again)
    assert done.code == 0
    assert "of another type: plan" in done.err
    failed = mp(*again, "--on-drift", "fail")
    assert (failed.code, failed.err.count("\n")) == (1, 1)
    shown = result_of(mp("columns", "users", "--on-drift", "evolve"))
    (plan,) = (each for each in shown["columns"] if each["property"] == "plan")
    assert (plan["name"], plan["type"], plan["conflict"]) == ("plan", "json", True)
    assert mp("columns", "users").err == ""
