"""Cohorts: listed, landed, and who is in them, within the hour's queries."""

from __future__ import annotations

import json
import pickle
from contextlib import closing

import duckdb
import pytest

from mixpanel_fetch import (
    ConfigError,
    ProfileQuery,
    QueryError,
    RateLimitError,
    ServerError,
    SyncWish,
)
from mixpanel_fetch.client import COHORTS_PATH
from mixpanel_fetch.cohortpages import open_members
from mixpanel_fetch.cohorts import Cohort, decode_cohorts
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.simulator import EngageSimulator, Fault
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

PEOPLE = SyntheticProfiles(300)
IDS = [PEOPLE.distinct_id(index) for index in range(300)]
COHORTS = {7: IDS[:250], 8: [], 9: ["ghost", IDS[3]]}
PAIRS = {(cohort, member) for cohort, members in COHORTS.items() for member in members}
PROJECT = {
    "profiles": 300,
    "page_size": 100,
    "cohorts": COHORTS,
    "cohort_names": {7: "Power users"},
}


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def project(environment_of, clock):
    """A simulated project in the environment's settings; give it switches."""
    running = []

    def make(**switches):
        simulator = EngageSimulator(**{**PROJECT, **switches}, clock=clock)
        simulator.start()
        running.append(simulator)
        environment_of(simulator)
        return simulator

    yield make
    for simulator in running:
        simulator.stop()


def rows(query):
    with duckdb.connect("mixpanel.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


def pairs():
    found = rows("SELECT distinct_id, properties, last_seen FROM cohort_members")
    for distinct_id, text, last_seen in found:
        pair = json.loads(text)
        assert distinct_id == f"{pair['cohort_id']}:{pair['distinct_id']}"
        assert last_seen is None
    return {(pair["cohort_id"], pair["distinct_id"]) for pair in (json.loads(r[1]) for r in found)}


def result_of(done):
    assert done.code == 0, done.err
    return json.loads(done.out)


def cohorts_asked(simulator):
    return [
        json.loads(one.form["filter_by_cohort"])["id"]
        for one in simulator.stats.requests
        if "filter_by_cohort" in one.form and one.session_id is None
    ]


# The client


def test_a_client_lists_the_cohorts_for_one_counted_query(project, client_of):
    simulator = project()
    first, *others = client_of(simulator).list_cohorts()
    assert first == Cohort(7, "Power users", 250, "", "2026-01-02 03:04:05", is_visible=True)
    assert [(one.id, one.count) for one in others] == [(8, 0), (9, 2)]
    assert simulator.stats.counted_queries == 1


def test_a_list_is_asked_for_again_after_a_fault(project, client_of):
    simulator = project(faults=[Fault(0, "503")])
    assert len(client_of(simulator).list_cohorts()) == 3
    assert [one.path for one in simulator.stats.requests] == [COHORTS_PATH] * 2


def test_a_used_up_hour_is_told_as_for_pages(project, client_of):
    client = client_of(project(hourly_limit=0))
    with pytest.raises(RateLimitError) as raised:
        client.list_cohorts()
    assert raised.value.limit == "hourly"


def test_only_the_id_of_a_cohort_must_be_there():
    assert decode_cohorts(b'[{"id": 5, "is_visible": 0, "new": []}]') == [
        Cohort(5, is_visible=False)
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"id": 5}', "not an array"),
        (b"[5]", "0: invalid input type"),
        (b'[{"id": 1}, {"name": "x"}]', "1.id: missing"),
        (b'[{"id": "1"}]', "0.id: not a valid integer"),
        (b'[{"id": 1, "count": -1}]', "0.count: must be"),
        (b'[{"id": 1, "name": null}]', "0.name: field may not be null"),
    ],
)
def test_what_is_no_list_of_cohorts_is_refused(body, words):
    with pytest.raises(ServerError, match="list of cohorts") as raised:
        decode_cohorts(body)
    assert words in str(raised.value)


# mp fetch cohorts


def test_the_list_lands_as_rows_and_is_replaced_the_next_time(project, mp):
    project()
    assert result_of(mp("fetch", "cohorts"))["total_rows"] == 3
    project(cohorts={7: ["a"]})
    assert result_of(mp("fetch", "cohorts"))["mode"] == "replace"
    ((distinct_id, text, last_seen),) = rows(
        "SELECT distinct_id, properties, last_seen FROM cohorts"
    )
    assert (distinct_id, last_seen) == ("7", None)
    assert json.loads(text) == {
        "name": "Power users",
        "count": 1,
        "description": "",
        "created": "2026-01-02 03:04:05",
        "is_visible": True,
    }


def test_the_list_goes_where_it_is_to_go(project, mp, tmp_path):
    project()
    result_of(mp("fetch", "cohorts", "segments", "--to", "jsonl:///out.jsonl"))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["distinct_id"] for line in lines] == ["7", "8", "9"]


def test_an_empty_list_takes_no_list_away(project, mp):
    project()
    result_of(mp("fetch", "cohorts"))
    project(wrong_region=True)
    done = mp("fetch", "cohorts")
    assert done.code == 1
    assert "--allow-empty" in done.err
    assert rows("SELECT count(*) FROM cohorts") == [(3,)]


def test_a_result_for_people_speaks_of_cohorts(project, mp):
    project()
    done = mp("fetch", "cohorts", "--format", "text")
    assert done.out.startswith("Done: 3 cohorts in table cohorts")


# mp fetch cohort-members


@pytest.mark.parametrize("parallel", [[], ["-p"]])
def test_members_of_every_cohort_land_as_pairs(project, mp, parallel):
    simulator = project()
    done = mp("fetch", "cohort-members", *parallel)
    result = result_of(done)
    assert (result["total_rows"], result["total_pages"]) == (252, 3)
    assert pairs() == PAIRS
    assert "3 cohorts cost 3 of the queries" in done.err
    assert simulator.stats.counted_queries == 4  # the list, and one a cohort
    asked = simulator.stats.requests[1].form
    assert asked["include_all_users"] == "true"
    assert json.loads(asked["output_properties"]) == ["$distinct_id"]


def test_members_of_named_cohorts_cost_no_list(project, mp):
    simulator = project()
    result = result_of(mp("fetch", "cohort-members", "--cohort", "9", "--cohort", "8"))
    assert (result["total_rows"], result["total_pages"]) == (2, 2)
    assert pairs() == {(9, "ghost"), (9, IDS[3])}
    assert cohorts_asked(simulator) == [9, 8]
    assert simulator.stats.counted_queries == 2


def test_a_project_without_cohorts_has_no_members(project, mp):
    project(cohorts={})
    done = mp("fetch", "cohort-members")
    assert (done.code, "no saved cohort" in done.err) == (1, True)
    assert result_of(mp("fetch", "cohort-members", "--allow-empty"))["total_rows"] == 0
    assert pairs() == set()


def test_members_come_whole_where_no_page_names_a_total(project, mp):
    project(total_on="never")
    assert result_of(mp("fetch", "cohort-members"))["total_rows"] == 252
    assert pairs() == PAIRS


def test_a_cohort_that_is_not_there_is_named_and_the_others_are_kept(project, mp):
    project()
    result_of(mp("fetch", "cohort-members", "--cohort", "9"))
    done = mp("fetch", "cohort-members", "--cohort", "7", "--cohort", "99", "--cohort", "8")
    result = json.loads(done.out)
    assert (done.code, result["failed_page_indices"], result["published"]) == (1, [1], False)
    assert result["failures"][0]["error"].startswith("cohort 99: Mixpanel refused")
    assert pairs() == {(9, "ghost"), (9, IDS[3])}


def test_a_first_cohort_that_is_not_there_ends_it(project, mp):
    project()
    done = mp("fetch", "cohort-members", "--cohort", "99")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "cohort 99" in done.err


def test_a_session_that_expires_costs_its_own_cohort_one_more_query_and_no_other(project, mp):
    simulator = project(session_pages=1, session_expiry_repeats=1)
    result = result_of(mp("fetch", "cohort-members", "--cohort", "7", "--cohort", "8"))
    assert result["retries"] == 1
    assert pairs() == {(cohort, member) for cohort, member in PAIRS if cohort == 7}
    assert cohorts_asked(simulator) == [7, 7, 8]


@pytest.mark.parametrize("parallel", [[], ["-p"]])
def test_a_used_up_hour_keeps_what_landed_and_a_resume_asks_for_the_rest(
    project, mp, clock, parallel
):
    many = {number: [f"m{number}"] for number in range(1, 9)}
    simulator = project(cohorts=many, hourly_limit=4)
    stopped = mp("fetch", "cohort-members", *parallel)
    result = json.loads(stopped.out)
    assert (stopped.code, result["successful_pages"], result["resumable"]) == (1, 3, True)
    assert "quota" in result["failures"][0]["error"]
    refused = [one for one in simulator.stats.requests if one.status == 429]
    assert 1 <= len(refused) <= 5  # those under way, and none after them
    landed = set(cohorts_asked(simulator)) - {
        json.loads(one.form["filter_by_cohort"])["id"] for one in refused
    }
    simulator.reset_stats()
    clock.now += 3600
    again = mp("fetch", "cohort-members", *parallel, "--resume")
    assert again.code == 1
    clock.now += 3600
    result_of(mp("fetch", "cohort-members", *parallel, "--resume"))
    assert pairs() == {(number, f"m{number}") for number in many}
    asked = [
        json.loads(one.form["filter_by_cohort"])["id"]
        for one in simulator.stats.requests
        if one.status == 200
    ]
    assert sorted(asked) == sorted(many.keys() - landed)
    assert all(one.path != COHORTS_PATH for one in simulator.stats.requests)


def test_what_there_is_can_be_published(project, mp):
    project(cohorts={1: ["a"], 2: ["b"]}, hourly_limit=2)
    done = mp("fetch", "cohort-members", "--allow-partial")
    assert done.code == 1
    assert pairs() == {(1, "a")}


def test_members_are_shown_as_columns(project, mp):
    project()
    result_of(mp("fetch", "cohort-members", "--columns"))
    assert rows(
        "SELECT cohort_id, count(*) FROM cohort_members_columns GROUP BY ALL ORDER BY 1"
    ) == [
        (7, 250),
        (9, 2),
    ]


# --dry-run


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(project, mp, tmp_path):
    project()
    listed = result_of(mp("fetch", "cohorts", "--dry-run"))
    assert (listed["table"], listed["profiles"], listed["queries"]) == ("cohorts", 3, 1)
    members = result_of(mp("fetch", "cohort-members", "--dry-run"))
    assert (members["table"], members["total_pages"], members["queries"]) == (
        *("cohort_members", 3, 4),  # the list, and one a cohort
    )
    named = result_of(mp("fetch", "cohort-members", "--cohort", "9", "--dry-run"))
    assert (named["total_pages"], named["queries"]) == (1, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_for_people_speaks_of_memberships(project, mp):
    project()
    done = mp("fetch", "cohort-members", "--dry-run", "--format", "text")
    assert done.out.startswith("Memberships in 3 pages would go to table cohort_members\n")
    assert "of 1,000 profiles" not in done.out


# The query


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"subject": "people"}, "one of cohorts, cohort-members"),
        ({"subject": "cohorts", "where": "true"}, "where does not go with them"),
        ({"subject": "cohort-members", "cohort_id": "7"}, "cohort_id does not go"),
        ({"subject": "cohorts", "cohort_ids": ("7",)}, "cohort-members"),
        ({"cohort_ids": ("7",)}, "cohort-members"),
        ({"subject": "cohort-members", "cohort_ids": ()}, "at least one"),
        ({"subject": "cohort-members", "cohort_ids": ("x",)}, "integer id"),
        ({"subject": "cohort-members", "cohort_ids": "7"}, "a list"),
    ],
)
def test_a_query_for_cohorts_that_cannot_be(given, words):
    with pytest.raises(ConfigError, match=words):
        ProfileQuery(**given)


def test_a_query_for_cohorts_is_what_its_document_says():
    query = ProfileQuery(subject="cohort-members", cohort_ids=["7", 7, "9"])
    assert query.document() == {"subject": "cohort-members", "cohort_ids": ("7", "9")}
    assert ProfileQuery(**query.document()) == query


def test_pages_of_members_may_be_fetched_in_another_process(project, client_of):
    client = client_of(project())
    query = ProfileQuery(subject="cohort-members")
    with client.connect() as connection:
        pages, first = open_members(connection, client.settings, query, Paging())
        portable = pickle.loads(pickle.dumps(pages.portable()))
    with closing(portable.open(client.gate)) as opened:
        assert (opened.total_pages, first.rows_received) == (3, 250)
        assert set(opened.fetch(2).batch.distinct_ids) == {"9:ghost", f"9:{IDS[3]}"}


def test_members_are_kept_in_step_by_complete_fetches(project, workspace_of):
    changing = dict(COHORTS)
    workspace = workspace_of(project(cohorts=changing), "duckdb:///mixpanel.duckdb")
    wanted = {"query": ProfileQuery(subject="cohort-members"), "sync": SyncWish()}
    workspace.fetch_profiles("cohort_members", **wanted)
    changing[9] = ["ghost"]
    result = workspace.fetch_profiles("cohort_members", **wanted)
    assert (result.sync, result.gone) == ("full", 1)


def test_an_unknown_cohort_raises_from_the_service_too(project, workspace_of):
    workspace = workspace_of(project(), "duckdb:///mixpanel.duckdb")
    query = ProfileQuery(subject="cohort-members", cohort_ids=("99",))
    with pytest.raises(QueryError, match="cohort 99"):
        workspace.fetch_profiles("m", query=query)
