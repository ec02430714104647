"""What a Workspace fetches that is no user's profile: cohorts, their members, groups."""

from __future__ import annotations

import pytest

from mixpanel_fetch import (
    Cohort,
    ConfigError,
    ParallelProfileFetchResult,
    ProfileQuery,
    QueryError,
    SyncWish,
)
from mixpanel_fetch.keywords import WorkspaceFetchKeywords, WorkspaceLandingKeywords

KEY = "-1405123841946871899"
PROJECT = {
    "profiles": 30,
    "cohorts": {7: ["a", "b"], 9: ["ghost"]},
    "cohort_names": {7: "Power <b>users"},
    "groups": {
        KEY: [
            {"$distinct_id": "acme", "$properties": {"plan": "pro"}},
            {"$distinct_id": "globex", "$properties": {"plan": "free"}},
        ]
    },
}


@pytest.fixture
def simulator(engage_simulator):
    return engage_simulator(**PROJECT)


@pytest.fixture
def workspace(simulator, workspace_of, tmp_path):
    return workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb")


def test_cohorts_are_listed_as_values_for_one_query(workspace, simulator):
    cohorts = workspace.list_cohorts()
    assert cohorts[0] == Cohort(7, "Power <b>users", 2, "", "2026-01-02 03:04:05", is_visible=True)
    assert [one.id for one in cohorts] == [7, 9]
    assert simulator.stats.counted_queries == 1
    assert "Power &lt;b&gt;users" in cohorts._repr_html_()


def test_the_list_of_cohorts_lands_and_is_replaced(workspace):
    assert workspace.fetch_cohorts().total_rows == 2
    assert workspace.fetch_cohorts().mode == "replace"
    names = workspace.sql("SELECT distinct_id, properties->>'name' FROM cohorts ORDER BY 1")
    assert names.rows == [("7", "Power <b>users"), ("9", "Cohort 9")]


def test_members_of_the_cohorts_named_or_of_all(workspace, simulator):
    result = workspace.fetch_cohort_members(cohort_ids=[9], parallel=True)
    assert isinstance(result, ParallelProfileFetchResult)
    assert workspace.sql("SELECT distinct_id FROM cohort_members").rows == [("9:ghost",)]
    assert simulator.stats.counted_queries == 1
    assert workspace.fetch_cohort_members().total_rows == 3
    with pytest.raises(QueryError, match="cohort 99"):
        workspace.fetch_cohort_members(cohort_ids=["99"])


def test_another_mode_than_replace_may_be_asked_for(workspace):
    assert workspace.fetch_cohorts("c", mode="create").mode == "create"
    assert workspace.fetch_cohorts("c", append=True).mode == "append"
    assert workspace.fetch_cohort_members("m", sync=SyncWish()).sync == "full"


def test_groups_come_by_the_number_given_or_the_configured_one(workspace, simulator, tmp_path):
    with pytest.raises(ConfigError, match="group key 'company' is not known"):
        workspace.fetch_groups("company")
    assert simulator.stats.requests == ()
    assert workspace.fetch_groups("company", group_id=int(KEY)).table == "company"
    assert simulator.stats.requests[-1].form["data_group_id"] == KEY
    named = ProfileQuery(data_group_id=KEY, output_properties=("plan",))
    assert workspace.fetch_groups("company", "named", query=named).total_rows == 2


def test_the_configuration_file_knows_the_number_of_a_group_key(
    simulator, workspace_of, tmp_path, monkeypatch
):
    (tmp_path / "config.toml").write_text(f"[groups]\ncompany = {KEY}\n")
    monkeypatch.setenv("MP_CONFIG", str(tmp_path / "config.toml"))
    workspace = workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb")
    pro = workspace.fetch_groups("company", "pros", where='properties["plan"] == "pro"')
    assert (pro.table, pro.total_rows) == ("pros", 1)
    assert simulator.stats.requests[-1].form["data_group_id"] == KEY


def test_keywords_of_rows_that_are_no_profiles_are_the_others():
    query = {"where", "cohort_id", "output_properties", "query"}
    assert (
        WorkspaceLandingKeywords.__annotations__.keys()
        == WorkspaceFetchKeywords.__annotations__.keys() - query
    )
