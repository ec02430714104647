"""What it costs to keep a DuckDB table in step, counted in requests and in rows that are read."""

from __future__ import annotations

import json

import duckdb
import pytest

from mixpanel_fetch import ConfigError
from mixpanel_fetch.defaults.duckdb_sink import publish, upsert
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.sync import SyncWish

TELLS = hasattr(duckdb.DuckDBPyConnection, "get_profiling_information")
"""DuckDB says what a statement has read since version 2."""


class Watched:
    """A host's connection whose cursors say of each statement how many rows DuckDB has read."""

    def __init__(self, connection):
        self.connection, self.statements = connection, []

    def cursor(self):
        return WatchedCursor(self.connection.cursor(), self.statements)


class WatchedCursor:
    def __init__(self, cursor, statements):
        self._cursor, self._statements = cursor, statements
        if TELLS:
            cursor.execute("PRAGMA enable_profiling = 'no_output'")

    def execute(self, statement, parameters=()):
        result = self._cursor.execute(statement, parameters)
        self._rows = result.fetchall() if result.description else []
        told = json.loads(self._cursor.get_profiling_information("json")) if TELLS else {}
        # Of BEGIN and its like there is nothing to tell.
        read = told.get("query", {}).get("total_rows_scanned", 0)
        self._statements.append((" ".join(statement.split()), read))
        return self

    def fetchall(self):
        return self._rows

    def __getattr__(self, name):
        return getattr(self._cursor, name)


def people(count, n=0):
    return [
        {
            "$distinct_id": f"id{number}",
            "$properties": {"n": n, "$last_seen": f"2026-01-{1 + number % 20:02}T00:00:00"},
        }
        for number in range(count)
    ] + [{"$distinct_id": "late", "$properties": {"$last_seen": "2026-01-30T00:00:00"}}]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def sync(workspace_of, connection):
    def run(simulator, host=None, **wish):
        engine = DuckDBEngine(connection=host or connection)
        return workspace_of(simulator, engine).fetch_profiles("t", sync=SyncWish(**wish))

    return run


@pytest.mark.skipif(not TELLS, reason="this DuckDB does not say what it reads")
@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("count", [200, 6000])
def test_with_nothing_new_no_more_is_read_of_a_larger_table(
    engage_simulator, sync, connection, count, history
):
    simulator = engage_simulator(profiles=people(count))
    sync(simulator, history=history)
    simulator.reset_stats()
    watched = Watched(connection)
    result = sync(simulator, watched, history=history)
    assert (result.sync, result.rows_received, result.unchanged) == ("incremental", 1, 1)
    assert (len(simulator.stats.requests), simulator.stats.counted_queries) == (1, 1)
    assert 0 < sum(read for _, read in watched.statements) < 100
    assert len(watched.statements) < 100
    assert [one for one, _ in watched.statements if "t_history" in one] == []
    changing = [
        one for one, _ in watched.statements if one.startswith(("MERGE", "DELETE", "UPDATE"))
    ]
    assert [one for one in changing if '"main"."t"' in one] == []


def test_where_nothing_came_the_table_is_not_touched(engage_simulator, sync, connection):
    simulator = engage_simulator(profiles=people(50))
    sync(simulator, history=True)
    simulator.set_profiles([])
    watched = Watched(connection)
    result = sync(simulator, watched, history=True)
    assert (result.sync, result.rows_received, result.exit_code) == ("incremental", 0, 0)
    assert [one for one, _ in watched.statements if '."t"' in one or "t_history" in one] == []


@pytest.mark.parametrize("index", ["auto", "none", "primary"])
def test_a_table_that_is_kept_in_step_has_a_key_however_large(
    engage_simulator, workspace_of, connection, monkeypatch, index
):
    monkeypatch.setattr(publish, "KEY_UP_TO", 0)
    engine = DuckDBEngine(connection=connection, index=index)
    workspace_of(engage_simulator(profiles=people(20)), engine).fetch_profiles("t", sync=SyncWish())
    found = connection.execute(
        "SELECT has_primary_key FROM duckdb_tables() WHERE table_name = 't'"
    ).fetchall()
    assert found == [(index != "none",)]


# Many rows that differ


@pytest.fixture
def few_are_many(monkeypatch):
    monkeypatch.setattr(upsert, "MANY", 20)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize(
    ("merged", "index"), [(False, "primary"), (True, "primary"), (True, "none")]
)
def test_many_rows_are_deleted_and_inserted_anew_with_the_same_outcome(
    engage_simulator, workspace_of, connection, merged, index
):
    """In place, DuckDB would keep every one of them in memory."""
    simulator = engage_simulator(profiles=people(60))

    def fetch(host):
        how = {"mode": "merge"} if merged else {"sync": SyncWish(full=True, history=True)}
        engine = DuckDBEngine(connection=host, index=index)
        return workspace_of(simulator, engine).fetch_profiles("t", **how)

    fetch(connection)
    connection.execute("CREATE INDEX seen ON t (last_seen)")
    simulator.set_profiles(people(70, n=1)[10:])
    watched = Watched(connection)
    result = fetch(watched)
    assert (result.inserted, result.updated) == ((10, 51) if merged else (10, 50))
    written = [one.split()[0] for one, _ in watched.statements if '."t"' in one]
    anew = int(duckdb.__version__.split(".")[0]) >= 2
    assert ("DELETE" in written, "MERGE" in written) == (anew, not anew)
    rows = dict(connection.execute("SELECT distinct_id, (properties->>'n')::INT FROM t").fetchall())
    now = {f"id{number}": int(number >= 10) for number in range(70)}
    assert rows == {**now, "late": None}
    if index == "primary":
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("INSERT INTO t (distinct_id) VALUES ('id11')")


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("merged", [False, True])
def test_a_table_of_the_users_own_that_has_an_id_twice_keeps_both_rows(
    engage_simulator, workspace_of, connection, merged
):
    connection.execute("CREATE TABLE t (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.execute("INSERT INTO t SELECT 'id' || i, '{}', NULL FROM range(60) AS r(i)")
    connection.execute("INSERT INTO t VALUES ('id7', '{}', NULL)")
    how = {"mode": "merge"} if merged else {"sync": SyncWish()}
    workspace = workspace_of(
        engage_simulator(profiles=people(60)), DuckDBEngine(connection=connection)
    )
    assert workspace.fetch_profiles("t", **how).updated == 60
    rows = connection.execute("SELECT properties->>'n' FROM t WHERE distinct_id = 'id7'")
    assert rows.fetchall() == [("0",), ("0",)]


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize(
    "theirs",
    [
        "ALTER TABLE t ADD note VARCHAR DEFAULT 'mine'",
        "CREATE TABLE orders (customer VARCHAR REFERENCES t (distinct_id))",
    ],
)
def test_rows_that_the_user_has_built_upon_are_changed_in_place(
    engage_simulator, sync, connection, theirs
):
    simulator = engage_simulator(profiles=people(60))
    sync(simulator)
    connection.execute(theirs)
    if "orders" in theirs:
        connection.execute("INSERT INTO orders VALUES ('id7')")
    simulator.set_profiles(people(60, n=1))
    assert sync(simulator, full=True).updated == 60
    if "note" in theirs:
        assert connection.execute("SELECT DISTINCT note FROM t").fetchall() == [("mine",)]


# What of the user's is in the way


OTHER_MARK = (
    "CREATE TABLE t (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, Deleted_At BOOLEAN)"
)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (OTHER_MARK, "has a column deleted_at that is BOOLEAN"),
        ("CREATE TABLE t_History (mine INT)", "t_History is there and holds no history"),
        ("CREATE VIEW t_history AS SELECT 1", "t_history is a view"),
    ],
)
def test_what_is_in_the_way_is_told_before_a_request_is_spent(
    engage_simulator, workspace_of, connection, theirs, words
):
    connection.execute(theirs)
    simulator = engage_simulator(profiles=people(3))
    workspace = workspace_of(simulator, DuckDBEngine(connection=connection))
    for asked in (workspace.fetch_profiles, workspace.preview_profiles):
        with pytest.raises(ConfigError, match=words):
            asked("t", sync=SyncWish(history=True))
    assert simulator.stats.requests == ()


# What the versions did not see


@pytest.mark.parametrize("how", ["merge", "append"])
def test_versions_that_were_passed_by_begin_with_a_complete_fetch(
    engage_simulator, workspace_of, sync, connection, how
):
    simulator = engage_simulator(profiles=people(5))
    sync(simulator, history=True)
    simulator.set_profiles(people(5, n=1))
    workspace_of(simulator, DuckDBEngine(connection=connection)).fetch_profiles("t", mode=how)
    assert sync(simulator, history=True).sync == "full"
    current = "SELECT count(*) FROM t_history WHERE is_current AND (properties->>'n') = '1'"
    assert connection.execute(current).fetchall() == [(5,)]
    assert sync(simulator, history=True).sync == "incremental"


def test_versions_that_were_dropped_begin_with_a_complete_fetch(engage_simulator, sync, connection):
    simulator = engage_simulator(profiles=people(5))
    sync(simulator, history=True)
    connection.execute("DROP TABLE t_history")
    assert sync(simulator, history=True).sync == "full"
    assert connection.execute("SELECT count(*) FROM t_history").fetchall() == [(6,)]


def test_nobody_is_gone_where_rows_came_twice(engage_simulator, sync, connection):
    """As many others may not have been sent; so the next fetch is a complete one again."""
    from mixpanel_fetch.simulator import Fault

    simulator = engage_simulator(profiles=people(20), page_size=7)
    sync(simulator)
    simulator.set_faults([Fault(1, "duplicates", rows=3, times=None)])
    result = sync(simulator, full=True)
    assert (result.duplicate_rows, result.gone, result.exit_code) == (3, 0, 0)
    assert connection.execute("SELECT count(deleted_at) FROM t").fetchall() == [(0,)]
