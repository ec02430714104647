from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import pytest
from marshmallow import ValidationError

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults import parquet_sink
from mixpanel_fetch.defaults.parquet_sink import staging
from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.defaults.parquet_sink.options import ParquetOptions
from mixpanel_fetch.errors import ConfigError, StorageError, TableExistsError
from mixpanel_fetch.model import LoadReport, Mode, ProfileQuery, RunInfo

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)


def run_info(run_id: str = "r1", mode: Mode = "create") -> RunInfo:
    return RunInfo(
        run_id=run_id,
        table="profiles",
        mode=mode,
        query=ProfileQuery(),
        session_id="s",
        total=3,
        page_size=1000,
        total_pages=1,
        transforms=(),
        fingerprint={},
        started_at=SEEN,
        destination="parquet://out.parquet",
    )


def batch_of(*ids: str, properties: bytes = b'{"plan":"pro"}') -> Batch:
    return Batch(list(ids), [properties] * len(ids), [SEEN] * len(ids))


def store(path: Path, pages: dict[int, Batch], mode: Mode = "create", **options: Any) -> LoadReport:
    engine = ParquetEngine(str(path), **options)
    load = engine.begin("profiles", mode, run_info(mode=mode))
    for index, batch in pages.items():
        assert load.write(index, batch) == len(batch)
    report = load.commit()
    engine.close()
    return report


def read(path: Path, query: str = "SELECT * FROM rows") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE path = $1", [escape(str(path))])
        connection.execute("CREATE VIEW rows AS SELECT * FROM read_parquet(getvariable('path'))")
        return connection.execute(query).fetchall()


def names_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


def ids_in(path: Path) -> list[str]:
    return [row[0] for row in read(path)]


def test_rows_become_three_columns(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    batch = Batch(["a", "b"], [b'{"n":1}', b"{}"], [SEEN, None])
    report = store(target, {0: batch})
    assert report == LoadReport(total_rows=2, inserted=2, updated=0, duplicate_rows=0)
    assert read(target) == [("a", '{"n":1}', datetime(2026, 1, 31)), ("b", "{}", None)]
    columns = [row[:2] for row in read(target, "DESCRIBE rows")]
    assert columns == [
        ("distinct_id", "VARCHAR"),
        ("properties", "VARCHAR"),
        ("last_seen", "TIMESTAMP"),
    ]
    assert names_in(tmp_path) == ["out.parquet"]


def test_values_keep_their_very_bytes(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    properties = (
        '{"f":1.10,"zero":-0,"big":123456789012345678901234567890,"nul":"\\u0000",'
        '"mended":"\ufffd","a.b":1,"q\\"q":2,"Key":3,"key":4,"deep":[ {"x": [null ]}],"🙂":"é"}'
    )
    store(target, {0: Batch(["a\0é🙂'", ""], [properties.encode()] * 2, [None, None])})
    assert read(target) == [("a\0é🙂'", properties, None), ("", properties, None)]


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1, 1, 1, tzinfo=timezone.utc),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone.utc),  # an hour that Berlin skips
        datetime(2026, 1, 31, 1, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
    ],
)
def test_instants_are_utc_whatever_the_time_zone(
    tmp_path: Path, instant: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    target = tmp_path / "out.parquet"
    try:
        store(target, {0: Batch(["a"], [b"{}"], [instant])})
        [(micros,)] = read(target, "SELECT epoch_us(last_seen) FROM rows")
    finally:
        monkeypatch.undo()
        time.tzset()
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert epoch + timedelta(microseconds=micros) == instant


def test_rows_stand_in_page_order_however_pages_land(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    pages = {page: batch_of(*(f"{page}-{row}" for row in range(1000))) for page in (7, 0, 12, 3)}
    store(target, pages, row_group_size=2048)
    expected = [f"{page}-{row}" for page in (0, 3, 7, 12) for row in range(1000)]
    assert ids_in(target) == expected


def test_of_an_id_that_came_twice_the_later_page_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    report = store(
        target,
        {
            2: batch_of("a", properties=b'{"page":2}'),
            1: batch_of("a", "b", "b", properties=b'{"page":1}'),
        },
    )
    assert report == LoadReport(total_rows=2, inserted=2, updated=0, duplicate_rows=2)
    assert [row[:2] for row in read(target)] == [("b", '{"page":1}'), ("a", '{"page":2}')]


def test_no_rows_make_a_file_without_rows(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    assert store(target, {0: Batch()}).total_rows == 0
    assert read(target) == []
    assert ParquetEngine(str(target)).count("profiles") == 0


@pytest.mark.parametrize(
    ("compression", "codec"),
    [
        ("zstd", "ZSTD"),
        ("snappy", "SNAPPY"),
        ("gzip", "GZIP"),
        ("uncompressed", "UNCOMPRESSED"),
    ],
)
def test_compression_and_row_groups_are_the_users_choice(
    tmp_path: Path, compression: str, codec: str
) -> None:
    target = tmp_path / "out.parquet"
    pages = {page: batch_of(*(f"{page}-{row}" for row in range(1000))) for page in range(5)}
    options = ParquetOptions().load({"compression": compression, "row_group_size": "2048"})
    store(target, pages, **options)
    metadata = read(
        target,
        "SELECT DISTINCT compression, row_group_num_rows"
        " FROM parquet_metadata(getvariable('path'))",
    )
    assert {row[0] for row in metadata} == {codec}
    assert {row[1] for row in metadata} == {2048, 904}


def test_wide_rows_make_smaller_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "ROW_GROUP_BYTES", 100_000)
    target = tmp_path / "out.parquet"
    wide = b'{"text":"' + b"x" * 100 + b'"}'
    pages = {
        page: batch_of(*(f"{page}-{row}" for row in range(1000)), properties=wide)
        for page in range(5)
    }
    store(target, pages)
    query = "SELECT DISTINCT row_group_num_rows FROM parquet_metadata(getvariable('path'))"
    assert sorted(read(target, query)) == [(904,), (2048,)]


def test_options_are_checked() -> None:
    assert ParquetOptions().load({}) == {"compression": "zstd", "row_group_size": None}
    for wrong in ({"compression": "zip"}, {"row_group_size": 10}, {"level": 3}):
        with pytest.raises(ValidationError):
            ParquetOptions().load(wrong)


def test_what_is_staged_is_hidden_and_private_until_commit(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    load = ParquetEngine(str(target)).begin("profiles", "create", run_info("r42"))
    load.write(0, batch_of("a"))
    [entry] = tmp_path.iterdir()
    assert entry.name == ".out.parquet.r42.partial"
    assert stat.S_IMODE(entry.stat().st_mode) == 0o700
    load.commit()
    load.abort()
    assert ids_in(target) == ["a"]


@pytest.mark.parametrize("end", ["abort", "suspend", "close"])
def test_an_end_without_commit_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, end: str
) -> None:
    target = tmp_path / "out.parquet"
    target.write_bytes(b"old")
    engine = ParquetEngine(str(target))
    load = engine.begin("profiles", "replace", run_info())
    load.write(0, batch_of("a"))
    for _ in range(2):
        (engine.close if end == "close" else getattr(load, end))()
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.parquet"]
    for late in (lambda: load.write(1, batch_of("b")), load.commit):
        with pytest.raises(StorageError, match="losed"):
            late()


def test_a_killed_run_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    target.write_bytes(b"old")
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_parquet_sink import ParquetEngine, batch_of, run_info
load = ParquetEngine({str(target)!r}).begin("profiles", "replace", run_info())
load.write(0, batch_of(*map(str, range(5000))))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert target.read_bytes() == b"old"


def test_replace_puts_the_new_rows_in_place_and_keeps_the_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    store(target, {0: batch_of("old")})
    target.chmod(0o600)
    store(target, {0: batch_of("new")}, mode="replace")
    assert ids_in(target) == ["new"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_existing_file_needs_replace(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    target.touch()
    with pytest.raises(TableExistsError, match="--replace"):
        ParquetEngine(str(target)).check("profiles", "create")


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    engine = ParquetEngine(str(target))
    load = engine.begin("profiles", "create", run_info())
    target.write_bytes(b"somebody else's")
    with pytest.raises(TableExistsError):
        load.commit()
    engine.close()
    assert target.read_bytes() == b"somebody else's"
    assert names_in(tmp_path) == ["out.parquet"]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_file_cannot_be_added_to(tmp_path: Path, mode: Mode) -> None:
    with pytest.raises(ConfigError, match=f"parquet cannot {mode}"):
        ParquetEngine(str(tmp_path / "out.parquet")).check("profiles", mode)


def test_awkward_file_names_work(tmp_path: Path) -> None:
    target = tmp_path / "it's [1] *?{x}.parquet"
    engine = ParquetEngine(str(tmp_path / "it's [1] *%3F{x}.parquet"))
    load = engine.begin("profiles", "create", run_info())
    load.write(0, batch_of("a"))
    load.commit()
    assert ids_in(target) == ["a"]
    assert engine.count("profiles") == 1


def test_count_knows_a_missing_file_and_one_that_is_not_parquet(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    engine = ParquetEngine(str(target))
    assert engine.count("profiles") is None
    target.write_bytes(b"not parquet")
    assert engine.count("profiles") == 1
    store(target, {0: batch_of("a", "b", "c")}, mode="replace")
    assert engine.count("profiles") == 3


def test_a_failing_statement_is_one_line(tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    engine = ParquetEngine(str(target), compression="nonsense")
    load = engine.begin("profiles", "create", run_info())
    load.write(0, batch_of("a"))
    with pytest.raises(StorageError, match=r"cannot write .*out\.parquet: ") as caught:
        load.commit()
    assert "\n" not in str(caught.value)
    engine.close()
    assert names_in(tmp_path) == []


def test_rows_that_duckdb_does_not_take_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "as_text", lambda page_index, batch: "null")
    engine = ParquetEngine(str(tmp_path / "out.parquet"))
    load = engine.begin("profiles", "create", run_info())
    with pytest.raises(StorageError, match="took 0 of the 2 rows of page 7"):
        load.write(7, batch_of("a", "b"))
    engine.close()
    assert names_in(tmp_path) == []


def test_a_database_that_cannot_be_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise duckdb.IOException("no space\nat all")

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(StorageError, match=r"no space$"):
        ParquetEngine(str(tmp_path / "out.parquet")).begin("profiles", "create", run_info())
    assert names_in(tmp_path) == []


def test_a_commit_that_fails_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.parquet"
    target.write_bytes(b"old")
    engine = ParquetEngine(str(target))
    load = engine.begin("profiles", "replace", run_info())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        load.commit()
    engine.close()
    assert target.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.parquet"]


def test_a_running_statement_can_be_interrupted_from_another_thread(tmp_path: Path) -> None:
    engine = ParquetEngine(str(tmp_path / "out.parquet"))
    engine.interrupt()  # nothing has begun: nothing happens
    load = engine.begin("profiles", "create", run_info())
    timer = threading.Timer(0.1, engine.interrupt)
    timer.start()
    with pytest.raises(StorageError, match=r"(?i)interrupt"), load.staging.reporting():
        load.staging.connection.execute(
            "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
        )
    timer.join()
    load.abort()
    engine.interrupt()  # it has ended: nothing happens
    engine.close()


def test_one_engine_serves_runs_from_different_threads(tmp_path: Path) -> None:
    engine = ParquetEngine(f"{tmp_path}/{{table}}.parquet")

    def fetch(table: str) -> None:
        load = engine.begin(table, "create", run_info(table))
        load.write(0, batch_of(table))
        load.commit()
        engine.close()

    for table in ("one", "two"):
        thread = threading.Thread(target=fetch, args=(table,))
        thread.start()
        thread.join()
    assert ids_in(tmp_path / "one.parquet") == ["one"]
    assert ids_in(tmp_path / "two.parquet") == ["two"]


def test_the_plugin_registers_its_sink() -> None:
    [spec] = parquet_sink.register_sinks()
    assert (spec.name, spec.options) == ("parquet", ParquetOptions)
    assert spec.capabilities == {"replace", "keyed", "concurrent"}
    assert isinstance(spec.factory("out.parquet", compression="gzip"), ParquetEngine)


def store_on(folder: Path, day: datetime, *ids: str, mode: Mode = "create") -> None:
    engine = ParquetEngine(f"{folder}/{{table}}", partition="load_date")
    try:
        load = engine.begin("users", mode, replace(run_info(mode=mode), started_at=day))
        load.write(0, batch_of(*ids))
        load.commit()
    finally:
        engine.close()


def test_load_dates_make_a_file_for_each_day(tmp_path: Path) -> None:
    store_on(tmp_path, SEEN, "a")
    store_on(tmp_path, SEEN + timedelta(days=1), "wrong")
    store_on(tmp_path, SEEN + timedelta(days=1), "b", mode="replace")
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert files == [f"users/load_date=2026-{day}/part-0.parquet" for day in ("01-31", "02-01")]
    with duckdb.connect() as connection:
        query = "SELECT load_date::VARCHAR, distinct_id FROM read_parquet($1) ORDER BY ALL"
        rows = connection.execute(query, [f"{tmp_path}/users/**/*.parquet"]).fetchall()
    assert rows == [("2026-01-31", "a"), ("2026-02-01", "b")]
    with pytest.raises(TableExistsError, match=r"load_date=2026-01-31/part-0\.parquet exists"):
        store_on(tmp_path, SEEN, "again")
    assert names_in(tmp_path) == ["users"]


def test_readers_of_a_folder_of_load_dates_see_nothing_of_a_run(tmp_path: Path) -> None:
    store_on(tmp_path, SEEN, "a")
    engine = ParquetEngine(f"{tmp_path}/{{table}}", partition="load_date")
    engine.begin("users", "replace", run_info(mode="replace")).write(0, batch_of("b"))
    assert [path.name for path in (tmp_path / "users").rglob("*") if path.is_file()] == [
        "part-0.parquet"
    ]
    engine.close()
    assert names_in(tmp_path) == ["users"]


def test_a_day_that_others_wrote_is_refused(tmp_path: Path) -> None:
    store_on(tmp_path, SEEN, "a")
    (tmp_path / "users/load_date=2026-01-31/part-9.parquet").touch()
    with pytest.raises(ConfigError, match=r"holds part-9\.parquet, which is not of parquet://"):
        store_on(tmp_path, SEEN, "b", mode="replace")


def test_a_folder_of_load_dates_needs_a_folder_to_be_made_in(tmp_path: Path) -> None:
    engine = ParquetEngine(f"{tmp_path}/none/{{table}}", partition="load_date")
    with pytest.raises(ConfigError, match="there is no directory"):
        engine.check("users", "create")
    (tmp_path / "users").touch()
    engine = ParquetEngine(f"{tmp_path}/{{table}}", partition="load_date")
    with pytest.raises(ConfigError, match="there is no directory"):
        engine.check("users", "create")


def test_the_last_load_date_counts(tmp_path: Path) -> None:
    engine = ParquetEngine(f"{tmp_path}/{{table}}", partition="load_date")
    assert engine.count("users") is None
    store_on(tmp_path, SEEN, "a", "b")
    assert engine.count("users") == 2
    store_on(tmp_path, SEEN + timedelta(days=1))
    assert engine.count("users") == 0


@pytest.mark.parametrize(
    ("location", "concurrent"), [("out.parquet", False), ("{table}.parquet", True)]
)
def test_tables_land_at_the_same_time_where_each_has_a_file(
    location: str, concurrent: bool
) -> None:
    assert ("concurrent" in ParquetEngine(location).capabilities) is concurrent
