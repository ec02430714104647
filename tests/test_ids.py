"""Fetching named profiles: chunks of ids, in parallel, resumed, nothing claimed that is not so."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch import MixpanelAPIClient, ParallelProfileFetchResult, ProfileQuery
from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.idpages import IDS_PER_REQUEST, LONGEST_LIST, chunks_of
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

PEOPLE = SyntheticProfiles(500)
IDS = [PEOPLE.distinct_id(index) for index in range(500)]


@pytest.fixture
def fetch(tmp_path):
    def run(simulator, ids, *, page_size=None, query=None, **given):
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=simulator.base_url
        )
        request = FetchRequest(
            "t",
            query or ProfileQuery(distinct_ids=ids),
            parallel=True,
            paging=Paging(page_size),
            **given,
        )
        plan = Assembler().plan(request, f"duckdb:///{tmp_path}/ids.duckdb")
        return run_plan(client, plan, ParallelProfileFetchResult)

    return run


@pytest.fixture
def landed(tmp_path):
    def ids():
        with duckdb.connect(str(tmp_path / "ids.duckdb"), read_only=True) as connection:
            return {each for (each,) in connection.execute("SELECT distinct_id FROM t").fetchall()}

    return ids


def test_just_the_named_profiles_come_in_chunks_and_in_parallel(engage_simulator, fetch, landed):
    simulator = engage_simulator(profiles=500, latency=1.0)
    result = fetch(simulator, IDS[:300], page_size=30)
    assert landed() == set(IDS[:300])
    assert (result.exit_code, result.total_pages, result.total_rows) == (0, 10, 300)
    assert simulator.stats.max_in_flight == 5


def test_an_id_without_a_profile_is_told_and_is_no_failure(engage_simulator, fetch, landed):
    result = fetch(engage_simulator(profiles=500), [*IDS[:40], "nobody", "no one"], page_size=20)
    assert landed() == set(IDS[:40])
    assert (result.exit_code, result.missing_rows) == (0, 0)
    assert result.warnings == ("2 of the 42 ids have no profile",)


def test_a_server_with_smaller_pages_sends_a_chunk_in_several(engage_simulator, fetch, landed):
    result = fetch(engage_simulator(profiles=500, max_page_size=7), IDS[:100], page_size=50)
    assert landed() == set(IDS[:100])
    assert (result.exit_code, result.total_pages, result.retries) == (0, 2, 0)


def test_only_chunks_that_failed_are_asked_for_by_a_resume(engage_simulator, fetch, landed):
    # A chunk is page 0 of a query of its own, and so counts: the fourth is refused.
    broken = engage_simulator(profiles=500, hourly_limit=3)
    first = fetch(broken, IDS[:100], page_size=20)
    assert (first.exit_code, first.successful_pages, first.resumable) == (1, 3, True)
    port = int(broken.base_url.rpartition(":")[2])
    broken.stop()
    healthy = engage_simulator(profiles=500, port=port)
    again = fetch(healthy, IDS[:100], page_size=None, resume=True)
    assert (again.exit_code, again.rows_received) == (0, 40)
    assert landed() == set(IDS[:100])


def test_a_fault_is_tried_again(engage_simulator, fetch, landed):
    faulty = engage_simulator(profiles=500, faults=[Fault(0, "503", times=2)])
    result = fetch(faulty, IDS[:60], page_size=20)
    assert (result.exit_code, result.retries) == (0, 2)
    assert landed() == set(IDS[:60])


def test_nobody_found_replaces_no_table(engage_simulator, fetch, landed):
    simulator = engage_simulator(profiles=500)
    fetch(simulator, IDS[:5])
    result = fetch(simulator, ["nobody"], mode="replace")
    assert (result.exit_code, result.published) == (1, False)
    assert landed() == set(IDS[:5])


def test_a_19_digit_group_id_arrives_digit_for_digit(engage_simulator, fetch, landed):
    group = "-1405123841946871899"
    simulator = engage_simulator(
        profiles=3, groups={group: [{"$distinct_id": "acme", "$properties": {"seats": 2**60}}]}
    )
    result = fetch(simulator, None, query=ProfileQuery(data_group_id=group))
    assert (result.exit_code, landed()) == (0, {"acme"})


def test_behaviors_page_to_the_end(engage_simulator, fetch, landed):
    behaviors = [{"window": "30d", "name": "b", "event_selectors": [{"event": "E"}]}]
    query = ProfileQuery('behaviors["b"] > 0', behaviors=behaviors)
    result = fetch(engage_simulator(profiles=500, page_size=50), None, query=query)
    assert result.exit_code == 0
    assert result.total_pages > 5
    assert len(landed()) == result.total_rows == result.rows_received


@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=200), st.integers(1, 50))
def test_chunks_hold_every_id_in_order_and_none_too_many(ids, most):
    chunks = chunks_of(ids, Paging(most))
    assert [each for chunk in chunks for each in chunk] == ids
    assert all(0 < len(chunk) <= most for chunk in chunks)


def test_long_ids_make_shorter_chunks():
    chunks = chunks_of([f"{number:04}" + "é" * 5000 for number in range(100)], Paging())
    assert len(chunks) == 4
    assert all(sum(len(each.encode()) for each in chunk) < LONGEST_LIST for chunk in chunks)
    assert len(chunks_of(["a"] * 2001, Paging())) == -(-2001 // IDS_PER_REQUEST)
