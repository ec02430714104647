from __future__ import annotations

import threading

import pytest
from mixpanel_fetch_postgres import database
from mixpanel_fetch_postgres.engine import PostgresEngine

from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.protocols import ResumableEngine


def begin(kit, engine, mode="create", **changes):
    fields = {"run_id": "run-1", "total_pages": 3, **changes}
    return engine.begin(fields.get("table", "users"), mode, kit.run_info(mode, **fields))


def suspended(kit, engine, mode="create", pages=(0,), **changes):
    load = begin(kit, engine, mode, **changes)
    for index in pages:
        load.write(index, kit.batch(f"p{index}", "same", value=index))
    load.suspend()
    engine.close()


def our_schemas(place):
    return place.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'mixpanel_fetch'")[0][0]


def test_the_engine_is_resumable(engine):
    assert isinstance(engine, ResumableEngine)
    assert "resume" in engine.capabilities


def test_nothing_is_known_of_a_new_database_and_nothing_is_made(engine, place):
    assert engine.interrupted("users") is None
    assert engine.runs() == []
    assert engine.count("users") is None
    with pytest.raises(ConfigError, match="no interrupted run"):
        engine.discard("x")
    assert our_schemas(place) == 0


def test_a_suspended_run_goes_on_where_it_was(kit, engine, place):
    suspended(kit, engine, pages=(2, 0))
    assert place.staged() == ["_mixpanel_fetch_staging_run-1"]
    info = engine.interrupted("users")
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
    assert place.values() == {"p0": "0", "p1": "1", "p2": "2", "same": "2"}
    (record,) = engine.runs()
    assert (record.status, record.missing_pages, record.total_rows) == ("complete", (), 4)
    assert record.finished_at is not None
    assert engine.interrupted("users") is None
    assert place.query("SELECT count(*) FROM mixpanel_fetch.pages") == [(0,)]


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_a_suspended_run_leaves_the_table_as_it_was(kit, engine, place, mode):
    kit.fetch(engine, {0: kit.batch("old")})
    suspended(kit, engine, mode)
    assert place.values() == {"old": "1"}
    load = begin(kit, engine, mode)
    assert load.landed_pages() == {0}
    load.abort()
    engine.close()
    assert place.values() == {"old": "1"}
    assert not place.staged()
    assert {record.status for record in engine.runs()} == {"aborted", "complete"}


@pytest.mark.parametrize("mode", ["create", "merge", "replace", "append"])
def test_after_a_partial_publish_the_missing_pages_are_upserted(kit, engine, place, mode):
    if mode == "append":
        place.make(
            "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz)",
            "INSERT INTO users VALUES ('p0', '{\"v\":9}', NULL)",
        )
    load = begin(kit, engine, mode)
    load.write(0, kit.batch("p0", "same", value=0))
    load.write(2, kit.batch("p2", "same", value=2))
    assert load.commit().total_rows == 3
    engine.close()
    assert [(r.status, r.missing_pages) for r in engine.runs()] == [("partial", (1,))]
    for _ in range(2):
        # Suspended once more on the way: what was published before must not be forgotten.
        info = engine.interrupted("users")
        engine.check("users", "merge")
        load = engine.begin("users", mode, info)
        assert load.landed_pages() == {0, 2}
        load.suspend()
        engine.close()
    load = engine.begin("users", mode, engine.interrupted("users"))
    load.write(1, kit.batch("p1", "p2", value=1))
    report = load.commit()
    engine.close()
    assert place.values() == {"p0": "0", "p1": "1", "p2": "1", "same": "2"}
    if mode == "append":
        assert (report.inserted, report.updated) == (3, 2)
    else:
        assert (report.total_rows, report.inserted, report.updated) == (
            (5, 4, 1) if mode == "merge" else (4, 4, 0)
        )
        assert report.duplicate_rows == (1 if mode == "merge" else 2)
    assert [record.status for record in engine.runs()] == ["complete"]


def test_a_new_run_supersedes_the_interrupted_one_of_its_table_only(kit, engine, place):
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
    assert sorted(place.staged()) == [
        "_mixpanel_fetch_staging_other",
        "_mixpanel_fetch_staging_two",
    ]


def test_pages_of_two_sessions_are_not_mixed(kit, engine, place):
    suspended(kit, engine)
    load = begin(kit, engine, session_id="session-2")
    assert load.landed_pages() == frozenset()
    load.write(0, kit.batch("new"))
    load.commit()
    assert place.values() == {"new": "1"}


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
def test_a_ledger_that_no_longer_holds_is_not_believed(kit, engine, place, tampering):
    suspended(kit, engine)
    place.make(tampering)
    assert engine.interrupted("users") is None
    load = begin(kit, engine)
    assert load.landed_pages() == frozenset()
    for index in range(3):
        load.write(index, kit.batch(f"p{index}"))
    load.commit()
    assert len(place.values()) == 3


def test_a_partial_run_whose_table_is_gone_starts_over(kit, engine, place):
    load = begin(kit, engine)
    load.write(0, kit.batch("a"))
    load.commit()
    engine.close()
    place.make("DROP TABLE users")
    assert engine.interrupted("users") is None
    assert begin(kit, engine).landed_pages() == frozenset()


def test_discard_drops_staging_and_ledger_but_nothing_published(kit, engine, place):
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
    assert place.values("parts") == {"a": "1"}
    assert place.query("SELECT count(*) FROM mixpanel_fetch.pages") == [(0,)]
    assert not place.staged()


def test_an_aborted_first_run_leaves_nothing(kit, engine, place):
    load = begin(kit, engine)
    load.write(0, kit.batch("a"))
    load.abort()
    engine.close()
    assert our_schemas(place) == 0
    assert not place.staged()
    kit.fetch(engine, {0: kit.batch("a")})
    assert place.values() == {"a": "1"}


def test_the_ledger_stays_where_another_run_or_somebody_uses_it(kit, engine, place):
    load = begin(kit, engine)
    other = PostgresEngine(place.location)
    kept = begin(kit, other, run_id="kept", table="others")
    load.abort()
    kept.write(0, kit.batch("a"))
    kept.suspend()
    other.close()
    assert {r.info.run_id: r.status for r in engine.runs()} == {
        "run-1": "aborted",
        "kept": "suspended",
    }


def test_what_somebody_put_into_our_schema_stays(kit, engine, place):
    load = begin(kit, engine)
    place.make("CREATE VIEW mixpanel_fetch.mine AS SELECT 1 AS a")
    load.abort()
    assert place.query("SELECT a FROM mixpanel_fetch.mine") == [(1,)]
    assert [record.status for record in engine.runs()] == ["aborted"]


def test_two_runs_cannot_write_to_one_table(kit, engine, place, monkeypatch):
    monkeypatch.setattr(database, "LOCK_WAIT", 0.2)
    kit.fetch(engine, {0: kit.batch("old")})
    load = begin(kit, engine, "append", total_pages=1)
    load.write(0, kit.batch("a"))
    second = PostgresEngine(place.location)
    for call in (
        lambda: second.check("users", "merge"),
        lambda: begin(kit, second, "merge", run_id="second"),
        lambda: second.discard("run-1"),
    ):
        with pytest.raises(ConfigError, match=r"another run .* \(server process \d+\)") as caught:
            call()
        assert str(caught.value).isprintable()
    second.check("others", "create")
    monkeypatch.setattr(database, "LOCK_WAIT", 20)
    waiting = threading.Thread(target=second.check, args=("users", "merge"))
    waiting.start()
    load.commit()
    engine.close()
    waiting.join()
    second.close()
    assert place.values() == {"old": "1", "a": "1"}


def test_each_run_may_come_from_another_thread(kit, engine, place):
    errors = []

    def work(mode, identity):
        try:
            kit.fetch(engine, {0: kit.batch(identity)}, mode, run_id=identity)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    for mode, identity in (("create", "a"), ("append", "b"), ("merge", "c")):
        thread = threading.Thread(target=work, args=(mode, identity))
        thread.start()
        thread.join()
    assert errors == []
    assert set(place.values()) == {"a", "b", "c"}


def test_a_run_without_pages_makes_an_empty_table(kit, engine, place):
    report = kit.fetch(engine, {}, total_pages=0)
    assert report.total_rows == 0
    assert engine.count("users") == 0
    assert engine.runs()[0].status == "complete"
