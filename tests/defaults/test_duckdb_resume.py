from __future__ import annotations

import threading

import duckdb
import pytest

from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.protocols import ResumableEngine


@pytest.fixture
def engine(path):
    engine = DuckDBEngine(path)
    yield engine
    engine.close()


def begin(kit, engine, mode="create", **changes):
    fields = {"run_id": "run-1", "total_pages": 3, **changes}
    return engine.begin(fields.get("table", "users"), mode, kit.run_info(mode, **fields))


def suspended(kit, engine, mode="create", pages=(0,), **changes):
    load = begin(kit, engine, mode, **changes)
    for index in pages:
        load.write(index, kit.batch(f"p{index}", "same", value=index))
    load.suspend()
    engine.close()


def test_the_engine_is_resumable(engine):
    assert isinstance(engine, ResumableEngine)
    assert "resume" in engine.capabilities


def test_nothing_is_known_of_a_missing_file_and_none_is_made(engine, path):
    assert engine.interrupted("users") is None
    assert engine.runs() == []
    assert engine.count("users") is None
    with pytest.raises(ConfigError, match="no interrupted run"):
        engine.discard("x")
    assert not path.exists()


def test_a_suspended_run_goes_on_where_it_was(kit, engine, path):
    suspended(kit, engine, pages=(2, 0))
    assert kit.query(path, "SELECT table_name FROM duckdb_tables() WHERE schema_name='main'") == [
        ("_mixpanel_fetch_staging_run-1",)
    ]
    info = engine.interrupted("USERS")
    assert info == kit.run_info(run_id="run-1", total_pages=3)
    (record,) = engine.runs()
    assert (record.status, record.missing_pages, record.total_rows) == ("suspended", (1,), None)
    engine.check("users", "create")
    load = engine.begin("users", "create", info)
    assert load.landed_pages() == {0, 2}
    with pytest.raises(StorageError, match="page 2 has landed already"):
        load.write(2, kit.batch("again"))
    load.write(1, kit.batch("p1", "same", value=1))
    report = load.commit()
    engine.close()
    assert (report.total_rows, report.duplicate_rows) == (4, 2)
    assert kit.values(path) == {"p0": "0", "p1": "1", "p2": "2", "same": "2"}
    (record,) = engine.runs()
    assert (record.status, record.missing_pages, record.total_rows) == ("complete", (), 4)
    assert record.finished_at is not None
    assert engine.interrupted("users") is None
    assert kit.query(path, "SELECT count(*) FROM mixpanel_fetch.pages") == [(0,)]


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_a_suspended_run_leaves_the_table_as_it_was(kit, engine, path, mode):
    kit.fetch(engine, {0: kit.batch("old")})
    suspended(kit, engine, mode)
    assert kit.values(path) == {"old": "1"}
    load = begin(kit, engine, mode)
    assert load.landed_pages() == {0}
    load.abort()
    engine.close()
    assert kit.values(path) == {"old": "1"}
    assert not kit.staged(path)
    assert {record.status for record in engine.runs()} == {"aborted", "complete"}


@pytest.mark.parametrize("mode", ["create", "merge", "replace", "append"])
def test_after_a_partial_publish_the_missing_pages_are_upserted(kit, engine, path, mode):
    if mode == "append":
        kit.make(
            path,
            "CREATE TABLE users (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)",
            "INSERT INTO users VALUES ('p0', '{\"v\":9}', NULL)",
        )
    load = begin(kit, engine, mode)
    load.write(0, kit.batch("p0", "same", value=0))
    load.write(2, kit.batch("p2", "same", value=2))
    first = load.commit()
    engine.close()
    assert first.total_rows == 3
    assert [(r.status, r.missing_pages) for r in engine.runs()] == [("partial", (1,))]
    info = engine.interrupted("users")
    assert info is not None
    # Suspended once more on the way: what was published before must not be forgotten.
    load = engine.begin("users", mode, info)
    assert load.landed_pages() == {0, 2}
    load.suspend()
    engine.close()
    info = engine.interrupted("users")
    load = engine.begin("users", mode, info)
    assert load.landed_pages() == {0, 2}
    load.write(1, kit.batch("p1", "p2", value=1))
    report = load.commit()
    engine.close()
    assert kit.values(path) == {"p0": "0", "p1": "1", "p2": "1", "same": "2"}
    if mode == "append":
        assert (report.inserted, report.updated) == (3, 2)
    else:
        assert (report.total_rows, report.inserted, report.updated) == (
            (5, 4, 1) if mode == "merge" else (4, 4, 0)
        )
        assert report.duplicate_rows == (1 if mode == "merge" else 2)
    (record,) = engine.runs()
    assert record.status == "complete"


def test_a_new_run_supersedes_the_interrupted_one_of_its_table_only(kit, engine, path):
    suspended(kit, engine, run_id="one")
    suspended(kit, engine, run_id="other", table="others")
    load = begin(kit, engine, run_id="two")
    assert load.landed_pages() == frozenset()
    load.suspend()
    engine.close()
    assert {r.info.run_id: r.status for r in engine.runs()} == {
        "one": "aborted",
        "two": "suspended",
        "other": "suspended",
    }
    assert sorted(kit.staged(path)) == [
        "_mixpanel_fetch_staging_other",
        "_mixpanel_fetch_staging_two",
    ]


def test_pages_of_two_sessions_are_not_mixed(kit, engine, path):
    suspended(kit, engine)
    load = begin(kit, engine, session_id="session-2")
    assert load.landed_pages() == frozenset()
    load.write(0, kit.batch("new"))
    load.commit()
    engine.close()
    assert kit.values(path) == {"new": "1"}


def test_a_run_is_about_one_table(kit, engine):
    suspended(kit, engine)
    with pytest.raises(ConfigError, match="run run-1 is about table users, not others"):
        begin(kit, engine, table="others")


@pytest.mark.parametrize(
    "tampering",
    [
        'DROP TABLE "_mixpanel_fetch_staging_run-1"',
        'DELETE FROM "_mixpanel_fetch_staging_run-1"',
        "DELETE FROM mixpanel_fetch.pages",
    ],
)
def test_a_ledger_that_no_longer_holds_is_not_believed(kit, engine, path, tampering):
    suspended(kit, engine)
    kit.make(path, tampering)
    assert engine.interrupted("users") is None
    load = begin(kit, engine)
    assert load.landed_pages() == frozenset()
    for index in range(3):
        load.write(index, kit.batch(f"p{index}"))
    load.commit()
    engine.close()
    assert len(kit.values(path)) == 3


def test_a_partial_run_whose_table_is_gone_starts_over(kit, engine, path):
    load = begin(kit, engine)
    load.write(0, kit.batch("a"))
    load.commit()
    engine.close()
    kit.make(path, "DROP TABLE users")
    assert engine.interrupted("users") is None
    assert begin(kit, engine).landed_pages() == frozenset()


def test_discard_drops_staging_and_ledger_but_nothing_published(kit, engine, path):
    load = begin(kit, engine, run_id="part", table="parts")
    load.write(0, kit.batch("a"))
    load.commit()
    engine.close()
    suspended(kit, engine, run_id="gone")
    for run_id in ("gone", "part"):
        engine.discard(run_id)
        with pytest.raises(ConfigError, match=f"no interrupted run {run_id}"):
            engine.discard(run_id)
    assert {record.status for record in engine.runs()} == {"aborted"}
    assert kit.values(path, "parts") == {"a": "1"}
    assert kit.query(path, "SELECT count(*) FROM mixpanel_fetch.pages") == [(0,)]
    assert not kit.staged(path)


def test_an_aborted_first_run_leaves_no_file(kit, engine, path):
    load = begin(kit, engine)
    load.write(0, kit.batch("a"))
    load.abort()
    engine.close()
    assert list(path.parent.iterdir()) == []
    # The engine serves the next run, which makes the file again.
    kit.fetch(engine, {0: kit.batch("a")})
    assert path.exists()


def test_an_aborted_run_leaves_no_metadata_in_a_database_that_had_none(kit, engine, path):
    kit.make(path, "CREATE TABLE mine (a INT)")
    begin(kit, engine).abort()
    engine.close()
    assert kit.query(path, "SELECT schema_name, table_name FROM duckdb_tables()") == [
        ("main", "mine")
    ]
    assert (
        kit.query(path, "SELECT 1 FROM duckdb_schemas() WHERE schema_name='mixpanel_fetch'") == []
    )


def test_what_a_run_made_stays_if_something_else_moved_in(kit, engine, path):
    load = begin(kit, engine)
    neighbour = duckdb.connect(str(path))
    neighbour.execute("CREATE TABLE theirs AS SELECT 42 AS a")
    neighbour.close()
    load.abort()
    engine.close()
    assert kit.query(path, "SELECT a FROM theirs") == [(42,)]


def test_the_record_of_a_run_holds_what_a_result_needs(kit, engine, path):
    kit.fetch(engine, {0: kit.batch("a", "a")}, destination="duckdb:///r.db")
    columns = "table_name, mode, status, total_rows, duplicate_rows, mixpanel_fetch_version"
    (row,) = kit.query(path, f"SELECT {columns}, duckdb_version FROM mixpanel_fetch.runs")
    assert row[:5] == ("users", "create", "complete", 1, 1)
    assert row[6] == duckdb.__version__
    (record,) = engine.runs()
    assert record.info.query == kit.run_info().query
    assert record.info.transforms == ("select:a,b",)
    assert record.info.started_at == kit.SEEN


def test_each_run_may_come_from_another_thread(kit, engine, path):
    errors = []

    def work(mode, identity):
        try:
            kit.fetch(engine, {0: kit.batch(identity)}, mode, run_id=identity)
        except Exception as error:
            errors.append(error)

    for mode, identity in (("create", "a"), ("append", "b"), ("merge", "c")):
        thread = threading.Thread(target=work, args=(mode, identity))
        thread.start()
        thread.join()
    assert errors == []
    assert set(kit.values(path)) == {"a", "b", "c"}


def test_a_run_without_pages_makes_an_empty_table(kit, engine, path):
    report = kit.fetch(engine, {}, total_pages=0)
    assert report.total_rows == 0
    assert kit.query(path, "SELECT count(*) FROM users") == [(0,)]
    assert engine.count("users") == 0
    assert engine.runs()[0].status == "complete"
