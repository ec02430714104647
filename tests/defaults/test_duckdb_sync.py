"""A DuckDB table that is kept in step with a project: what it holds, when, and what it costs."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import duckdb
import pytest

from mixpanel_fetch import ConfigError, MixpanelAPIClient, ParallelProfileFetchResult, ProfileQuery
from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.sync import SyncWish
from mixpanel_fetch.tolerance import Tolerance

TEXT = "%Y-%m-%dT%H:%M:%S"
SYNCS = 50
EVERY = 10
"""Syncs after which the sink opens the file itself: opening takes longer than all the rest."""


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
    def run(simulator, *, where=None, tolerance=None, resume=False, into=None, table="t", **wish):
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=simulator.base_url
        )
        request = FetchRequest(
            table,
            ProfileQuery(where),
            mode="merge",
            parallel=True,
            sync=SyncWish(**wish),
            tolerance=tolerance or Tolerance(),
            resume=resume,
        )
        plan = Assembler().plan(request, into or f"duckdb:///{file}")
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


@pytest.mark.no_cover  # long; shorter tests cover the same lines
@pytest.mark.parametrize("seed", [1, 2])
def test_the_table_follows_a_project_that_changes(engage_simulator, sync, file, seed):
    project = Project(seed)
    simulator = engage_simulator(profiles=project.profiles(), page_size=25)
    seen_at = {}
    known = {}
    connection = duckdb.connect(str(file))
    for number in range(SYNCS):
        simulator.set_profiles(project.profiles())
        full = project.random.random() < 0.3
        if number % EVERY:
            engine = DuckDBEngine(connection=connection)
            result = sync(simulator, full=full, history=True, into=engine)
        else:
            connection.close()
            result = sync(simulator, full=full, history=True)
            connection = duckdb.connect(str(file))
        assert (result.exit_code, result.missing_rows) == (0, 0)
        rows = connection.execute("SELECT distinct_id, (properties->>'n')::INT, deleted_at FROM t")
        rows = rows.fetchall()
        landed, truth = {name: n for name, n, gone in rows if gone is None}, project.contents()
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
        (started,) = connection.execute(
            "SELECT max(started_at) FROM mixpanel_fetch.runs"
        ).fetchone()
        seen_at[started] = landed
        known = {name: n for name, n, _ in rows}
        project.live_on()
    assert len(seen_at) == SYNCS
    for moment, landed in seen_at.items():
        versions = connection.execute(
            "SELECT distinct_id, (properties->>'n')::INT FROM t_history"
            " WHERE valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)",
            [moment],
        ).fetchall()
        assert len(versions) == len(landed)
        assert dict(versions) == landed
    repeated = connection.execute(
        "SELECT distinct_id FROM t_history WHERE is_current GROUP BY 1 HAVING count(*)>1"
    ).fetchall()
    assert repeated == []
    connection.close()


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


@pytest.mark.parametrize("partial", [False, True])
def test_a_sync_whose_session_is_gone_starts_over_as_what_it_was(
    engage_simulator, sync, live, partial
):
    simulator = engage_simulator(profiles=people(100), page_size=10)
    sync(simulator)
    simulator.set_profiles(people(90))
    simulator.set_faults([Fault(3, "400", times=None)])
    broken = sync(simulator, full=True, tolerance=Tolerance(partial=partial))
    assert (broken.resumable, broken.published) == (True, partial)
    simulator.set_faults([Fault(3, "expired_session")])
    result = sync(simulator, resume=True)
    assert (result.sync, result.gone, result.exit_code) == ("full", 10, 0)
    assert set(live()) == {f"id{number}" for number in range(90)}
    assert sync(simulator).sync == "incremental"


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


def test_nothing_is_remembered_of_a_table_that_was_dropped(engage_simulator, sync, file, live):
    simulator = engage_simulator(profiles=people(30), page_size=10)
    sync(simulator)
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP TABLE t")
    simulator.set_faults([Fault(1, "400", times=None)])
    partial = sync(simulator, where="true", tolerance=Tolerance(partial=True))
    assert (partial.published, len(live())) == (True, 20)
    simulator.set_faults([])
    assert sync(simulator, where="true").sync == "full"
    assert len(live()) == 30


@pytest.mark.parametrize("name", ["other.users", 'we"ird', "it's a table", "OTHER.Users"])
def test_a_table_may_be_called_anything(engage_simulator, sync, file, ask, name):
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.users AS SELECT 1 AS taken")
        connection.execute("DROP TABLE other.users")
    simulator = engage_simulator(profiles=people(4))
    sync(simulator, table=name.lower(), history=True)
    simulator.set_profiles(people(3, m=1))
    result = sync(simulator, table=name, full=True, history=True)
    assert (result.inserted, result.updated, result.gone) == (0, 3, 1)
    assert ask("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%_history'") == [(1,)]


def test_two_tables_of_one_file_follow_what_is_theirs(engage_simulator, sync):
    simulator = engage_simulator(profiles=people(10))
    few = 'properties["n"] < 3'
    for table, where, rows in (("t", None, 10), ("u", few, 3)):
        assert (sync(simulator, table=table, where=where).inserted) == rows
    for table, where in (("t", None), ("u", few)):
        assert sync(simulator, table=table, where=where).sync == "incremental"


def test_profiles_that_were_never_seen_are_asked_for_each_time(engage_simulator, sync):
    profiles = [{"$distinct_id": f"id{number}", "$properties": {}} for number in range(3)]
    simulator = engage_simulator(profiles=profiles)
    sync(simulator)
    again = sync(simulator)
    assert (again.sync, again.unchanged) == ("full", 3)


def test_rows_of_the_users_own_table_are_counted_by_profile(engage_simulator, sync, file, ask):
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE t (note VARCHAR NOT NULL DEFAULT 'x', distinct_id VARCHAR,"
            " properties VARCHAR NOT NULL, last_seen TIMESTAMP)"
        )
        connection.execute(
            "INSERT INTO t (distinct_id, properties)"
            " VALUES ('id0', '{}'), ('id0', '{}'), (NULL, '{}'), ('gone', '{}')"
        )
    result = sync(engage_simulator(profiles=people(2)), delete="hard")
    assert (result.inserted, result.updated, result.unchanged, result.gone) == (1, 1, 0, 1)
    rows = ask("SELECT distinct_id FROM t WHERE note = 'x' ORDER BY ALL")
    assert rows == [("id0",), ("id0",), ("id1",), (None,)]


def test_a_column_of_the_users_is_no_mark(engage_simulator, sync, file, ask):
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE t (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP,"
            " Deleted_At BOOLEAN)"
        )
        connection.execute("INSERT INTO t VALUES ('id0', '{}', NULL, true)")
    simulator = engage_simulator(profiles=people(2))
    with pytest.raises(ConfigError, match="has a column deleted_at that is BOOLEAN; rename it"):
        sync(simulator)
    assert sync(simulator, delete="ignore").updated == 1
    assert ask("SELECT deleted_at FROM t ORDER BY distinct_id") == [(True,), (None,)]


def test_a_connection_of_the_host_keeps_nothing_of_a_sync(engage_simulator, sync):
    connection = duckdb.connect()
    connection.execute("CREATE TEMP TABLE mixpanel_fetch_differing AS SELECT 1 AS mine")
    simulator = engage_simulator(profiles=people(10))
    for count in (10, 6):
        simulator.set_profiles(people(count, of=count))
        engine = DuckDBEngine(connection=connection)
        assert sync(simulator, full=True, history=True, into=engine).exit_code == 0
    tables = connection.execute("SELECT table_name, temporary FROM duckdb_tables() ORDER BY ALL")
    assert tables.fetchall() == [
        *[("mixpanel_fetch_differing", True), ("pages", False), ("runs", False)],
        *[("sync", False), ("t", False), ("t_history", False)],
    ]
    assert connection.execute("FROM mixpanel_fetch_differing").fetchall() == [(1,)]
    connection.close()
