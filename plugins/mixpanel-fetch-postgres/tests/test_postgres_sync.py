"""What keeping a table in step does and says, and what it costs."""

from __future__ import annotations

import pytest

from mixpanel_fetch import ConfigError
from mixpanel_fetch.simulator import Fault


def places(place, table="users"):
    """Where each row lies: a row that is written, even as it was, lies elsewhere."""
    return place.query(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY distinct_id")


def test_the_result_says_which_kind_ran_and_what_changed(kit, engage_simulator, sync):
    simulator = engage_simulator(profiles=kit.people(10))
    first = sync(simulator)
    assert (first.sync, kit.changes(first)) == ("full", (10, 0, 0, 0))
    simulator.set_profiles([*kit.people(4, m=1)[:2], *kit.people(8)[2:], *kit.people(12)[10:]])
    second = sync(simulator, full=True)
    assert (second.sync, kit.changes(second)) == ("full", (2, 2, 6, 2))
    later = {"$last_seen": "2026-01-02T00:00:00"}
    simulator.set_profiles([*kit.people(8)[:7], kit.people(8, m=2, **later)[7]])
    third = sync(simulator)
    assert (third.sync, third.inserted, third.updated, third.gone) == ("incremental", 0, 3, 0)


def test_what_did_not_change_is_not_written(kit, engage_simulator, sync, place):
    simulator = engage_simulator(profiles=kit.people(300), page_size=50)
    sync(simulator, history=True)
    before, versions = places(place), places(place, "users_history")
    for full in (True, False):
        result = sync(simulator, history=True, full=full)
        assert kit.changes(result) == (0, 0, 300, 0)
        assert places(place) == before
        assert places(place, "users_history") == versions
    edited = kit.people(300)
    edited[7]["$properties"]["n"] = "other"
    simulator.set_profiles(edited)
    assert kit.changes(sync(simulator, history=True, full=True)) == (0, 1, 299, 0)
    assert len(set(before) - set(places(place))) == 1
    assert len(places(place, "users_history")) == 301


def test_nothing_new_costs_one_query_and_looks_at_no_row_of_the_rest(
    kit, engage_simulator, sync, place
):
    count = 20_000
    late = kit.people(1, **{"$last_seen": "2026-01-05T00:00:00"})
    simulator = engage_simulator(profiles=[*kit.people(count)[1:], *late], page_size=count)
    sync(simulator, history=True)
    simulator.reset_stats()
    scans = (
        "SELECT sum(seq_scan)::int, sum(idx_scan)::int FROM pg_stat_user_tables"
        " WHERE relname IN ('users', 'users_history')"
    )
    ((whole, _),) = place.query(scans)
    result = sync(simulator, history=True)
    assert (result.sync, result.rows_received, kit.changes(result)) == (
        "incremental",
        1,
        (0, 0, 1, 0),
    )
    assert (len(simulator.stats.requests), simulator.stats.counted_queries) == (1, 1)
    found = kit.eventually(lambda: (figures := place.query(scans)[0])[1] and figures)
    assert found[0] == whole


@pytest.mark.parametrize(
    ("delete", "left"), [("mark", (10, 4)), ("hard", (6, 0)), ("ignore", (10, 0))]
)
def test_who_is_gone_is_marked_or_taken_out_or_left(  # noqa: PLR0917
    kit, engage_simulator, sync, place, delete, left
):
    simulator = engage_simulator(profiles=kit.people(10))
    sync(simulator, delete=delete, history=True)
    simulator.set_profiles(kit.people(6))
    result = sync(simulator, delete=delete, full=True, history=True)
    assert result.exit_code == 0
    marked = "count(deleted_at)" if delete == "mark" else "0"
    assert place.query(f"SELECT count(*), {marked} FROM users") == [left]
    current = place.query("SELECT count(*) FROM users_history WHERE is_current")
    assert current == [(10 if delete == "ignore" else 6,)]


def test_more_than_half_never_goes_at_once_unless_that_is_allowed(
    kit, engage_simulator, sync, place
):
    simulator = engage_simulator(profiles=kit.people(10))
    sync(simulator)
    simulator.set_profiles([])
    before = places(place)
    refused = sync(simulator, full=True)
    assert (refused.exit_code, refused.published) == (1, False)
    assert "10 of 10 profiles did not come any more" in refused.warnings[-1]
    assert places(place) == before
    allowed = sync(simulator, full=True, max_gone=1.0)
    assert (allowed.exit_code, allowed.gone) == (0, 10)


def test_an_incomplete_sync_is_finished_by_a_resume(kit, engage_simulator, sync, place):
    simulator = engage_simulator(profiles=kit.people(100), page_size=10)
    sync(simulator)
    simulator.set_profiles(kit.people(90))
    simulator.set_faults([Fault(3, "400", times=None)])
    assert sync(simulator, full=True).resumable
    simulator.set_faults([])
    result = sync(simulator, resume=True)
    assert (result.sync, result.gone, result.exit_code) == ("full", 10, 0)
    assert place.query("SELECT count(*) FROM users WHERE deleted_at IS NULL") == [(90,)]
    assert not place.staged()
    assert sync(simulator).sync == "incremental"


def test_another_query_must_not_share_the_table(kit, engage_simulator, sync):
    simulator = engage_simulator(profiles=kit.people(10))
    sync(simulator)
    with pytest.raises(ConfigError, match="another query"):
        sync(simulator, where='properties["n"] > 3')


def test_history_that_begins_later_begins_with_everyone(kit, engage_simulator, sync, place):
    simulator = engage_simulator(profiles=kit.people(10))
    sync(simulator)
    assert sync(simulator, history=True).sync == "full"
    assert place.query("SELECT count(*) FROM users_history WHERE is_current") == [(10,)]
    assert sync(simulator, history=True).sync == "incremental"


def test_the_statements_of_a_publish_do_not_grow_with_the_rows(kit, place, engine):
    counts = []
    for number, pages in enumerate((1, 5)):
        run = kit.sync_info(number, history=True, total_pages=pages)
        load = engine.begin("users", "merge", run)
        for page in range(pages):
            load.write(page, kit.batch(*(f"{page}-{row}" for row in range(500))))
        load.count_gone()
        with kit.watched(engine) as statements:
            load.commit_in_step(complete=True)
        engine.close()
        counts.append(len(statements))
    assert max(counts) < 40
