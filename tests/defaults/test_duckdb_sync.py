"""A DuckDB table that is kept in step with a project: what it holds, when, and what it costs."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import duckdb
import pytest

from mixpanel_fetch import ConfigError, MixpanelAPIClient, ParallelProfileFetchResult, ProfileQuery
from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.sync import SyncWish
from mixpanel_fetch.tolerance import Tolerance

TEXT = "%Y-%m-%dT%H:%M:%S"
SYNCS = 50


class Project:
    """Profiles that change: ``people`` is what a complete fetch brings now."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = datetime(2026, 1, 1)
        self.people = {}
        self.silent = set()
        self.named = 0
        for _ in range(60):
            self.insert()

    def insert(self):
        self.named += 1
        self.people[f"id{self.named}"] = {"n": 0, "$last_seen": self.now.strftime(TEXT)}

    def edit(self, name):
        self.people[name] = {
            "n": self.people[name]["n"] + 1,
            "$last_seen": self.now.strftime(TEXT),
        }

    def edit_in_silence(self, name):
        """As in the UI, or with ``$ignore_time``: ``$last_seen`` stays."""
        self.people[name] = self.people[name] | {"n": self.people[name]["n"] + 1}
        self.silent.add(name)

    def live_on(self):
        self.now += timedelta(minutes=self.random.randint(1, 60 * 24))
        for name in self.random.sample(sorted(self.people), 6):
            self.random.choice([self.edit, self.edit_in_silence, self.people.pop])(name)
        for _ in range(self.random.randint(0, 4)):
            self.insert()

    def profiles(self):
        """In an order of its own each time, and so are the properties."""
        rows = []
        for name, properties in self.people.items():
            shuffled = list(properties.items())
            self.random.shuffle(shuffled)
            rows.append({"$distinct_id": name, "$properties": dict(shuffled)})
        self.random.shuffle(rows)
        return rows

    def contents(self):
        return {name: properties["n"] for name, properties in self.people.items()}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sync.duckdb"


@pytest.fixture
def ask(file):
    def rows(sql, *parameters):
        with duckdb.connect(str(file), read_only=True) as connection:
            return connection.execute(sql, parameters).fetchall()

    return rows


@pytest.fixture
def sync(file):
    def run(simulator, *, where=None, tolerance=None, resume=False, **wish):
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=simulator.base_url
        )
        request = FetchRequest(
            "t",
            ProfileQuery(where),
            mode="merge",
            parallel=True,
            sync=SyncWish(**wish),
            tolerance=tolerance or Tolerance(),
            resume=resume,
        )
        plan = Assembler().plan(request, f"duckdb:///{file}")
        return run_plan(client, plan, ParallelProfileFetchResult)

    return run


@pytest.fixture
def live(ask):
    def contents():
        rows = ask("SELECT distinct_id, (properties->>'n')::INT FROM t WHERE deleted_at IS NULL")
        return dict(rows)

    return contents


def people(count, **properties):
    seen = {"$last_seen": "2026-01-01T00:00:00"}
    return [
        {"$distinct_id": f"id{number}", "$properties": {"n": number} | seen | properties}
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_table_follows_a_project_that_changes(engage_simulator, sync, live, ask, seed):
    project = Project(seed)
    simulator = engage_simulator(profiles=project.profiles(), page_size=25)
    seen_at = {}
    deleted = {}
    for number in range(SYNCS):
        known = deleted | (live() if number else {})
        simulator.set_profiles(project.profiles())
        result = sync(simulator, full=project.random.random() < 0.3, history=True)
        assert (result.exit_code, result.missing_rows) == (0, 0)
        landed, truth = live(), project.contents()
        if result.sync == "full":
            assert landed == truth
            project.silent.clear()
        else:
            for name in truth.keys() | landed.keys():
                if landed.get(name) == truth.get(name):
                    continue
                # Edits that do not move $last_seen, and deletions, leave no trace in between.
                assert name in project.silent or name not in truth
                assert landed[name] == known[name]
        started = ask("SELECT max(started_at) FROM mixpanel_fetch.runs")[0][0]
        seen_at[started] = landed
        deleted = dict(
            ask("SELECT distinct_id, (properties->>'n')::INT FROM t WHERE deleted_at IS NOT NULL")
        )
        project.live_on()
    for moment, landed in seen_at.items():
        versions = ask(
            "SELECT distinct_id, (properties->>'n')::INT FROM t_history"
            " WHERE valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)",
            moment,
        )
        assert len(versions) == len(landed)
        assert dict(versions) == landed
    repeated = ask(
        "SELECT distinct_id FROM t_history WHERE is_current GROUP BY 1 HAVING count(*)>1"
    )
    assert repeated == []


def test_the_result_says_which_kind_ran_and_what_changed(engage_simulator, sync):
    simulator = engage_simulator(profiles=people(10))
    first = sync(simulator)
    assert (first.sync, first.inserted, first.updated, first.unchanged, first.gone) == (
        *("full", 10, 0, None or 0, 0),
    )
    changed = [*people(4, m=1)[:2], *people(8)[2:], *people(12)[10:]]
    simulator.set_profiles(changed)
    second = sync(simulator, full=True)
    assert (second.sync, second.inserted, second.updated, second.unchanged, second.gone) == (
        *("full", 2, 2, 6, 2),
    )
    assert second.to_dict()["sync"] == "full"


def test_nothing_new_costs_one_query_and_writes_nothing(engage_simulator, sync, ask):
    simulator = engage_simulator(profiles=people(300), page_size=50)
    sync(simulator, history=True)
    late = people(1)[0]
    late["$properties"]["$last_seen"] = "2026-01-05T00:00:00"
    simulator.set_profiles([*people(300)[1:], late])
    sync(simulator, history=True)
    simulator.reset_stats()
    result = sync(simulator, history=True)
    assert (result.sync, result.rows_received, result.unchanged) == ("incremental", 1, 1)
    assert (result.inserted, result.updated) == (0, 0)
    assert (len(simulator.stats.requests), simulator.stats.counted_queries) == (1, 1)
    assert ask("SELECT count(*) FROM t_history") == [(300,)]


@pytest.mark.parametrize(
    ("delete", "left"), [("mark", (10, 4)), ("hard", (6, 0)), ("ignore", (10, 0))]
)
def test_who_is_gone_is_marked_or_taken_out_or_left(engage_simulator, sync, ask, delete, left):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator, delete=delete)
    simulator.set_profiles(people(6))
    result = sync(simulator, delete=delete, full=True)
    assert result.exit_code == 0
    marked = "count(deleted_at)" if delete == "mark" else "0"
    assert ask(f"SELECT count(*), {marked} FROM t") == [left]


def test_who_comes_back_is_no_longer_marked(engage_simulator, sync, ask):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    simulator.set_profiles(people(7))
    sync(simulator, full=True)
    simulator.set_profiles(people(10))
    result = sync(simulator, full=True)
    assert result.updated == 3
    assert ask("SELECT count(*), count(deleted_at) FROM t") == [(10, 0)]


def test_more_than_half_never_goes_at_once_unless_that_is_allowed(engage_simulator, sync, ask):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    simulator.set_profiles([])
    refused = sync(simulator, full=True)
    assert (refused.exit_code, refused.published) == (1, False)
    assert "10 of 10 profiles did not come any more" in refused.warnings[-1]
    assert ask("SELECT count(*), count(deleted_at) FROM t") == [(10, 0)]
    allowed = sync(simulator, full=True, max_gone=1.0)
    assert (allowed.exit_code, allowed.gone) == (0, 10)


def test_nobody_is_gone_after_an_incomplete_fetch(engage_simulator, sync, ask):
    simulator = engage_simulator(profiles=people(100), page_size=10)
    sync(simulator)
    simulator.set_faults([Fault(3, "400", times=None)])
    result = sync(simulator, full=True, tolerance=Tolerance(partial=True))
    assert (result.exit_code, result.published, result.gone) == (1, True, 0)
    simulator.set_faults([])
    again = sync(simulator, full=True, tolerance=Tolerance(partial=True), resume=True)
    assert (again.exit_code, again.gone) == (0, 0)
    assert ask("SELECT count(*), count(deleted_at) FROM t") == [(100, 0)]


def test_an_interrupted_sync_goes_on_as_what_it_was(engage_simulator, sync, live):
    simulator = engage_simulator(profiles=people(100), page_size=10)
    sync(simulator)
    simulator.set_profiles(people(90))
    simulator.set_faults([Fault(3, "400", times=None)])
    assert sync(simulator, full=True).resumable
    simulator.set_faults([])
    result = sync(simulator, resume=True)
    assert (result.sync, result.gone, result.exit_code) == ("full", 10, 0)
    assert set(live()) == {f"id{number}" for number in range(90)}


def test_another_query_must_not_share_the_table(engage_simulator, sync):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    with pytest.raises(ConfigError, match="another query"):
        sync(simulator, where='properties["n"] > 3')


def test_history_that_begins_later_begins_with_everyone(engage_simulator, sync, ask):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    assert sync(simulator, history=True).sync == "full"
    assert ask("SELECT count(*) FROM t_history WHERE is_current") == [(10,)]
    assert sync(simulator, history=True).sync == "incremental"


def test_columns_and_indexes_of_the_users_stay(engage_simulator, sync, file, ask):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE t ADD note VARCHAR")
        connection.execute("UPDATE t SET note = 'mine'")
        connection.execute("CREATE INDEX seen ON t (last_seen)")
    simulator.set_profiles(people(10, m=1))
    assert sync(simulator, full=True).updated == 10
    assert ask("SELECT count(*) FROM t WHERE note = 'mine'") == [(10,)]
    assert ask("SELECT count(*) FROM duckdb_indexes() WHERE index_name = 'seen'") == [(1,)]


def test_a_table_that_was_replaced_is_followed_from_the_start(engage_simulator, sync, file):
    simulator = engage_simulator(profiles=people(10))
    sync(simulator)
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP TABLE t")
    assert sync(simulator).sync == "full"
