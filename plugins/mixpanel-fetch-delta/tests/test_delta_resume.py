"""Runs that were interrupted: what is told of them, how they go on, how they are dropped."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from mixpanel_fetch.errors import ConfigError, StorageError
from mixpanel_fetch.protocols import QueryableEngine, ResumableEngine


def begin(kit, engine, mode="create", **changes):
    fields = {"run_id": "run-1", "total_pages": 3, **changes}
    return engine.begin(fields.get("table", "users"), mode, kit.run_info(mode, **fields))


def suspended(kit, engine, mode="create", pages=(0,), **changes):
    load = begin(kit, engine, mode, **changes)
    for index in pages:
        load.write(index, kit.batch(f"p{index}", "same", value=index))
    load.suspend()
    engine.close()


def staged(engine):
    return [name for name, _ in engine._lake.files("_mixpanel_fetch/staging")]


def test_the_engine_is_resumable_and_can_be_asked(folder):
    engine = folder.engine()
    assert isinstance(engine, ResumableEngine)
    assert isinstance(engine, QueryableEngine)


def test_a_run_goes_on_in_another_engine_with_nothing_of_this_machine(kit, bucket):
    # As on another machine: the bucket is all that they share.
    suspended(kit, bucket.engine(), pages=(2, 0))
    engine = bucket.engine()
    (record,) = engine.runs()
    assert (record.status, record.missing_pages, record.total_rows) == ("suspended", (1,), None)
    load = engine.begin("users", "create", engine.interrupted("users"))
    assert load.landed_pages() == {0, 2}
    load.write(1, kit.batch("p1", "same", value=1))
    report = load.commit()
    engine.close()
    assert (report.total_rows, report.duplicate_rows) == (4, 2)
    assert bucket.values() == {"p0": 0, "p1": 1, "p2": 2, "same": 2}


@pytest.mark.parametrize("mode", ["create", "merge", "replace", "append"])
def test_after_a_partial_publish_the_missing_pages_are_upserted(kit, folder, mode):
    engine = folder.engine()
    if mode == "append":
        kit.fetch(engine, {0: kit.batch("p0", value=9)}, run_id="old")
    load = begin(kit, engine, mode)
    load.write(0, kit.batch("p0", "same", value=0))
    load.write(2, kit.batch("p2", "same", value=2))
    assert load.commit().total_rows == 3
    engine.close()
    assert engine.runs()[0].missing_pages == (1,)
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
    assert folder.values() == {"p0": 0, "p1": 1, "p2": 1, "same": 2}
    expected = {"append": (5, 3, 2), "merge": (5, 4, 1)}.get(mode, (4, 4, 0))
    assert (report.total_rows, report.inserted, report.updated) == expected
    assert report.duplicate_rows == (1 if mode in ("append", "merge") else 2)
    assert engine.runs()[0].status == "complete"


def test_a_page_lands_once(kit, folder):
    engine = folder.engine()
    load = begin(kit, engine)
    load.write(2, kit.batch("a"))
    with pytest.raises(StorageError, match="page 2 has landed already"):
        load.write(2, kit.batch("again"))
    load.abort()
    engine.close()


def test_a_new_run_supersedes_the_interrupted_one_of_its_table_only(kit, folder):
    engine = folder.engine()
    suspended(kit, engine, run_id="one")
    suspended(kit, engine, run_id="other", table="others")
    suspended(kit, engine, run_id="two")
    assert {r.info.run_id: r.status for r in engine.runs()} == {
        "one": "aborted",
        "two": "suspended",
        "other": "suspended",
    }
    assert {name.split("/")[2] for name in staged(engine)} == {"other", "two"}


def test_a_run_whose_place_was_taken_says_so_and_publishes_nothing(kit, place, refused):
    first, second = place.engine(), place.engine()
    slow = begin(kit, first, total_pages=1)
    slow.write(0, kit.batch("slow"))
    load = begin(kit, second, run_id="run-2", total_pages=1)
    load.write(0, kit.batch("quick"))
    load.commit()
    second.close()
    assert "taken the place" in refused(slow.commit, kind=StorageError)
    slow.suspend()
    first.close()
    assert place.values() == {"quick": 1}
    assert {r.info.run_id: r.status for r in second.runs()} == {
        "run-1": "aborted",
        "run-2": "complete",
    }


def test_of_two_that_go_on_with_one_run_the_later_has_it(kit, folder, refused):
    first, second = folder.engine(), folder.engine()
    slow = begin(kit, first, total_pages=2)
    slow.write(0, kit.batch("a"))
    load = second.begin("users", "create", second.interrupted("users"))
    assert load.landed_pages() == {0}
    slow.abort()  # not its own any more
    load.write(1, kit.batch("b"))
    load.commit()
    first.close()
    second.close()
    assert folder.values() == {"a": 1, "b": 1}


def test_a_partial_run_whose_table_is_gone_starts_over(kit, folder):
    engine = folder.engine()
    load = begin(kit, engine)
    load.write(0, kit.batch("a"))
    load.commit()
    engine.close()
    shutil.rmtree(f"{folder.url}/users")
    assert engine.interrupted("users") is None
    load = begin(kit, engine)
    assert load.landed_pages() == frozenset()
    load.abort()
    engine.close()


def test_discard_drops_staging_and_nothing_published(kit, folder):
    engine = folder.engine()
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
    assert folder.values("parts") == {"a": 1}
    assert not staged(engine)


def test_pages_of_two_sessions_are_not_mixed(kit, folder):
    engine = folder.engine()
    suspended(kit, engine)
    run = replace(engine.interrupted("users"), session_id="session-2", total_pages=1)
    load = engine.begin("users", "create", run)
    assert load.landed_pages() == frozenset()
    load.write(0, kit.batch("new"))
    load.commit()
    engine.close()
    assert folder.values() == {"new": 1}


def test_an_interrupt_ends_a_publish_and_the_run_goes_on(kit, folder):
    engine = folder.engine()
    load = begin(kit, engine, total_pages=1)
    load.write(0, kit.batch("a"))
    parts = load._staging.parts

    def interrupted():
        engine.interrupt()
        return parts()

    load._staging.parts = interrupted
    from mixpanel_fetch.errors import FetchInterruptedError

    with pytest.raises(FetchInterruptedError):
        load.commit()
    load.suspend()
    engine.close()
    assert folder.table() is None
    load = engine.begin("users", "create", engine.interrupted("users"))
    load.commit()
    engine.close()
    assert folder.values() == {"a": 1}
