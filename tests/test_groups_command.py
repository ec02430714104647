"""``mp fetch groups``: profiles of groups, in a table named by their key."""

from __future__ import annotations

import json

import duckdb
import pytest

KEY = "-1405123841946871899"
COMPANIES = [
    {"$distinct_id": name, "$properties": {"seats": seats}}
    for name, seats in (("acme", 3), ("b", 9))
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def simulator(engage_simulator):
    return engage_simulator(profiles=5, groups={KEY: COMPANIES})


@pytest.fixture
def configured(simulator, tmp_path, monkeypatch):
    """Write the configuration file: two accounts, and what ``groups`` says."""

    def write(groups):
        path = tmp_path / "config.toml"
        account = (
            f'username = "demo"\nsecret = "demo-secret"\nproject_id = 12345\n'
            f'api_base_url = "{simulator.base_url}"\n'
        )
        path.write_text(
            f'default = "one"\n[accounts.one]\n{account}[accounts.two]\n{account}{groups}'
        )
        path.chmod(0o600)
        monkeypatch.setenv("MP_CONFIG", str(path))

    return write


def ids_in(table):
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        return [
            each for (each,) in connection.execute(f'FROM "{table}" SELECT distinct_id').fetchall()
        ]


def test_a_number_on_the_command_line_needs_no_configuration(simulator, environment_of, mp):
    environment_of(simulator)
    done = mp("fetch", "groups", "company", "--group-id", KEY)
    assert done.code == 0, done.err
    assert json.loads(done.out)["table"] == "company"
    assert ids_in("company") == ["acme", "b"]


@pytest.mark.parametrize("written", [KEY, f'"{KEY}"'])
def test_a_number_of_19_digits_comes_from_the_file_digit_for_digit(
    simulator, configured, mp, written
):
    configured(f"[accounts.one.groups]\ncompany = {written}\n")
    done = mp("fetch", "groups", "company", "--table", "companies", "--columns")
    assert done.code == 0, done.err
    assert simulator.stats.requests[-1].form["data_group_id"] == KEY
    assert ids_in("companies") == ["acme", "b"]
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT max(seats) FROM companies_columns").fetchall() == [(9,)]


def test_an_account_s_number_counts_over_that_of_the_top_level(simulator, configured, mp):
    configured(f"[accounts.two.groups]\ncompany = {KEY}\n[groups]\ncompany = 5\nteam = 6\n")
    assert mp("fetch", "groups", "company", "--account", "two").code == 0
    assert simulator.stats.requests[-1].form["data_group_id"] == KEY
    mp("fetch", "groups", "company", "one")
    mp("fetch", "groups", "company", "--table", "one")
    assert simulator.stats.requests[-1].form["data_group_id"] == "5"
    mp("fetch", "groups", "team", "--account", "two")
    assert simulator.stats.requests[-1].form["data_group_id"] == "6"


def test_a_key_that_nobody_knows_is_told_where_to_go(simulator, configured, mp):
    configured(f"[accounts.one.groups]\ncompany = {KEY}\n")
    done = mp("fetch", "groups", "team")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "[accounts.one.groups]" in done.err
    assert "known there: company" in done.err
    assert simulator.stats.requests == ()


@pytest.mark.parametrize("written", ["-1.4e18", '"company"', "12345678901234567890", "true"])
def test_a_number_that_is_none_is_refused_with_its_place(configured, mp, written):
    configured(f"[accounts.one.groups]\ncompany = {written}\n")
    done = mp("fetch", "groups", "company")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "accounts.one.groups.company: must be" in done.err


def test_groups_are_kept_in_step_and_checked_as_users_are(simulator, configured, mp):
    configured(f"[groups]\ncompany = {KEY}\n")
    first = json.loads(mp("fetch", "groups", "company", "--incremental").out)
    assert (first["sync"], first["inserted"]) == ("full", 2)
    checked = mp("fetch", "groups", "company", "--full", "--dry-run")
    assert json.loads(checked.out)["table"] == "company"
    assert checked.code == 0


def test_the_command_to_go_on_names_the_group_key(engage_simulator, environment_of, mp):
    from mixpanel_fetch.simulator import Fault

    environment_of(
        engage_simulator(groups={KEY: COMPANIES}, page_size=1, faults=[Fault(1, "400", times=None)])
    )
    done = mp("fetch", "groups", "company", "--group-id", KEY, "--format", "text")
    assert done.code == 1
    assert f"mp fetch groups company --group-id={KEY} --format text --resume" in done.out
