"""What a publish makes of a table: one commit, read back by deltalake and by DuckDB."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable, Field, Schema
from mixpanel_fetch_delta import publish
from mixpanel_fetch_delta.table import Version

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import StorageError, TableExistsError


def duckdb_rows(place, name="users"):
    """Return the rows as DuckDB's Parquet reader sees them in the files that the table lists."""
    files = place.table(name).file_uris()
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT distinct_id, properties, epoch_us(last_seen) FROM read_parquet(?)", [files]
        ).fetchall()


def actions(place, version, name="users"):
    text = Path(place.url, name, "_delta_log", f"{version:020}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("mode", ["create", "append", "merge", "replace"])
def test_a_run_is_one_commit(kit, folder, mode):
    if mode != "create":
        kit.fetch(folder.engine(), {0: kit.batch("old", "both", value="old")})
    before = -1 if mode == "create" else folder.table().version()
    pages = {0: kit.batch("both", "a", value="new"), 1: kit.batch("b", value="new")}
    report = kit.fetch(folder.engine(), pages, mode)
    assert folder.table().version() == before + 1
    rest = {"old": "old"} if mode in ("append", "merge") else {}
    assert folder.values() == {"both": "new", "a": "new", "b": "new", **rest}
    inserted, updated = (2, 1) if mode in ("append", "merge") else (3, 0)
    assert (report.total_rows, report.inserted, report.updated) == (3, inserted, updated)
    assert len(duckdb_rows(folder)) == len(folder.rows())


def test_properties_keep_their_bytes_and_instants_their_microseconds(kit, folder):
    text = b'{ "b":1.10,"a":12345678901234567890 ,"t":"\\u00e9" }'
    kit.fetch(folder.engine(), {0: Batch(["a"], [text], [kit.SEEN])})
    micros = int(kit.SEEN.timestamp()) * 1_000_000 + kit.SEEN.microsecond
    assert duckdb_rows(folder) == [("a", text.decode(), micros)]
    assert folder.rows()[0]["properties"] == text.decode()


def test_any_reader_can_read_the_table(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("a")})
    table = folder.table()
    protocol = table.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert [(one.name, one.type.type) for one in table.schema().fields] == [
        ("distinct_id", "string"),
        ("properties", "string"),
        ("last_seen", "timestamp"),
    ]


def test_the_log_notes_rows_and_bounds_that_hold(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("a"), 1: Batch(["b"], [b'{"v":1}'], [None])})
    (added,) = (one["add"] for one in actions(folder, 0) if "add" in one)
    assert json.loads(added["stats"]) == {
        "numRecords": 2,
        "nullCount": {"last_seen": 1},
        "minValues": {"last_seen": "2026-01-02T03:04:05.678Z"},
        "maxValues": {"last_seen": "2026-01-02T03:04:05.679Z"},
    }


def test_the_history_says_which_run_it_was(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("a")}, run_id="the-run")
    (entry,) = folder.table().history(1)
    told = entry["mixpanelFetch"]
    assert (told["runId"], told["mode"], told["insertedRows"]) == ("the-run", "create", 1)


def test_only_files_with_superseded_rows_are_written_again(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("a", "b")})
    kit.fetch(folder.engine(), {0: kit.batch("c", "d")}, "append")
    kit.fetch(folder.engine(), {0: kit.batch("e")}, "append")
    first, second, third = (one["add"]["path"] for v in range(3) for one in actions(folder, v)
                            if "add" in one)  # fmt: skip
    kit.fetch(folder.engine(), {0: kit.batch("a", "e", "f", value=2)}, "merge")
    removed = {one["remove"]["path"] for one in actions(folder, 3) if "remove" in one}
    added = [one["add"] for one in actions(folder, 3) if "add" in one]
    assert removed == {first, third}
    assert second not in removed
    # Of the first file one row stays, of the third none does.
    assert sorted(json.loads(one["stats"])["numRecords"] for one in added) == [1, 3]
    assert folder.values() == {"a": 2, "b": 1, "c": 1, "d": 1, "e": 2, "f": 2}


def test_the_later_page_wins_across_parts(kit, folder):
    pages = {n: kit.batch("same", *(f"{n}-{i}" for i in range(400)), value=n) for n in range(6)}
    order = (3, 5, 0, 4, 1, 2)
    engine = folder.engine(file_size="1KB")  # a part for every page
    report = kit.fetch(engine, {n: pages[n] for n in order}, total_pages=6)
    assert (report.total_rows, report.duplicate_rows) == (6 * 400 + 1, 5)
    assert folder.values()["same"] == 5
    assert len(folder.table().file_uris()) > 2


def test_two_creators_do_not_mix(kit, folder):
    one, two = folder.engine(), folder.engine()
    load = one.begin("users", "create", kit.run_info(total_pages=1))
    load.write(0, kit.batch("one"))
    # Into the same table, from elsewhere: not through the ledger.
    other = kit.Place(folder.location, folder.url)
    DeltaTable.create(
        other.url + "/users",
        Schema([Field("distinct_id", "string"), Field("properties", "string"),
                Field("last_seen", "timestamp")]),
    )  # fmt: skip
    with pytest.raises(TableExistsError):
        load.commit()
    load.suspend()
    one.close()
    two.close()
    assert folder.rows() == []


def committing(place, kit, monkeypatch, times):
    """Let somebody else commit between our reading of the table and our commit."""
    commit = Version.commit
    left = [times]

    def beaten(self, *arguments, **options):
        if left[0]:
            left[0] -= 1
            identity = f"theirs-{left[0]}"
            kit.theirs(place, identity)
        return commit(self, *arguments, **options)

    monkeypatch.setattr(Version, "commit", beaten)
    monkeypatch.setattr(publish.time, "sleep", lambda seconds: None)


@pytest.mark.parametrize("mode", ["merge", "append", "replace"])
def test_a_commit_of_somebody_else_meanwhile_is_taken_into_account(kit, folder, monkeypatch, mode):
    kit.fetch(folder.engine(), {0: kit.batch("old", "theirs-0")})
    committing(folder, kit, monkeypatch, 2)
    report = kit.fetch(folder.engine(), {0: kit.batch("theirs-0", "new", value=2)}, mode)
    values = folder.values()
    if mode == "replace":
        assert values == {"theirs-0": 2, "new": 2}
    else:
        assert values == {"old": 1, "theirs-0": 2, "new": 2, "theirs-1": "theirs"}
    assert report.total_rows == 2


def test_others_that_leave_no_gap_are_one_line(kit, folder, monkeypatch, refused):
    kit.fetch(folder.engine(), {0: kit.batch("old")})
    engine = folder.engine()
    load = engine.begin("users", "merge", kit.run_info("merge", total_pages=1))
    load.write(0, kit.batch("new"))
    committing(folder, kit, monkeypatch, 1000)
    assert "--resume" in refused(load.commit, kind=StorageError)
    load.suspend()
    engine.close()
    monkeypatch.undo()
    assert "new" not in folder.values()
    load = engine.begin("users", "merge", engine.interrupted("users"))
    load.commit()
    engine.close()
    assert "new" in folder.values()


def test_runs_into_different_tables_land_at_the_same_time(kit, place):
    errors = []

    def work(name):
        try:
            for mode in ("create", "merge", "replace"):
                pages = {n: kit.batch(f"{name}-{n}", value=mode) for n in range(3)}
                kit.fetch(place.engine(), pages, mode, name, run_id=f"{name}-{mode}")
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    Path(place.url).mkdir(exist_ok=True) if "://" not in place.url else None
    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for n in range(4):
        assert place.values(f"t{n}") == {f"t{n}-{i}": "replace" for i in range(3)}
    assert len(place.engine().runs()) == 12


def test_a_stopped_write_leaves_no_file_in_sight(kit, folder):
    engine = folder.engine()
    load = engine.begin("users", "create", kit.run_info())
    load.write(0, kit.batch("a"))
    assert sorted(one.name for one in Path(folder.url).iterdir()) == ["_mixpanel_fetch"]
    load.abort()
    engine.close()
    assert not list(Path(folder.url).rglob("*.*"))
