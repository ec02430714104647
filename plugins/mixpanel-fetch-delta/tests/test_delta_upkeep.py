"""A year of runs: few files, a short log, and no old files for ever."""

from __future__ import annotations

import logging
from pathlib import Path

from mixpanel_fetch_delta import ledger
from mixpanel_fetch_delta.table import Version

RUNS = 100


def log_after_checkpoint(folder, name="users"):
    """Return the names of what a reader has to read of the log."""
    names = sorted(one.name for one in Path(folder.url, name, "_delta_log").iterdir())
    newest = max(name for name in names if ".checkpoint." in name)[:20]
    return [name for name in names if name.endswith(".json") and name[:20] > newest]


def files_of(folder, name="users"):
    return sorted(one.name for one in Path(folder.url, name).glob("*.parquet"))


def test_after_a_hundred_runs_a_reader_reads_few_files_and_a_short_log(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("first")})
    for number in range(RUNS):
        kit.fetch(folder.engine(), {0: kit.batch(f"id-{number}", "same", value=number)}, "merge")
    table = folder.table()
    assert len(folder.values()) == RUNS + 2
    assert folder.values()["same"] == RUNS - 1
    assert len(table.file_uris()) <= 21
    assert len(log_after_checkpoint(folder)) <= 10
    # The ledger of ended runs does not grow without end, and none of them is open.
    assert len(folder.engine().runs()) <= ledger.KEPT
    assert folder.engine().interrupted("users") is None


def test_small_files_are_put_together_and_rows_stay(kit, folder):
    for number in range(4):
        mode = "append" if number else "create"
        kit.fetch(folder.engine(compact_after=0), {0: kit.batch(f"id-{number}")}, mode)
    assert len(folder.table().file_uris()) == 4
    kit.fetch(folder.engine(compact_after=5), {0: kit.batch("id-4")}, "append")
    assert len(folder.table().file_uris()) == 1
    assert set(folder.values()) == {f"id-{number}" for number in range(5)}
    # A reader that follows the table has nothing new to read from that.
    assert folder.table().history(1)[0]["mixpanelFetch"]["does"].startswith("puts")


def test_old_versions_stay_for_as_long_as_they_are_kept(kit, folder):
    for number in range(3):
        mode = "replace" if number else "create"
        kit.fetch(folder.engine(), {0: kit.batch(f"id-{number}")}, mode)
    assert len(files_of(folder)) == 3
    table = folder.table()
    table.load_as_version(0)
    assert table.count() == 1


def test_files_of_versions_that_nobody_keeps_are_deleted(kit, folder):
    for number in range(3):
        mode = "replace" if number else "create"
        kit.fetch(folder.engine(keep=0), {0: kit.batch(f"id-{number}")}, mode)
    assert len(files_of(folder)) == 1
    assert set(folder.values()) == {"id-2"}
    kit.fetch(folder.engine(keep=0, vacuum=False), {0: kit.batch("id-3")}, "replace")
    assert len(files_of(folder)) == 2


def test_upkeep_that_fails_fails_no_run(kit, folder, monkeypatch, caplog):
    kit.fetch(folder.engine(), {0: kit.batch("a")})

    def broken(self):
        raise OSError(28, "No space left on device")

    files = Version.files
    calls = []

    def second_time(self):
        calls.append(self)
        return broken(self) if len(calls) > 1 else files(self)

    engine = folder.engine()
    load = engine.begin("users", "replace", kit.run_info("replace", total_pages=1))
    load.write(0, kit.batch("b"))
    monkeypatch.setattr(Version, "files", second_time)
    monkeypatch.setattr(Version, "require_profiles", lambda self, label: None)
    with caplog.at_level(logging.WARNING):
        assert load.commit().total_rows == 1
    monkeypatch.undo()
    engine.close()
    assert "no space left" in caplog.text
    assert set(folder.values()) == {"b"}
    assert engine.runs()[0].status == "complete"
