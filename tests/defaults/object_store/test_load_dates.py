"""One object for each load date: what is written where, and what each mode does to it."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import duckdb
import pytest

from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.errors import ConfigError, TableExistsError

NIGHT = datetime(2026, 11, 24, 23, 59, tzinfo=timezone.utc)
KEY = "lake/users/load_date=2026-11-24/part-0.parquet"


def test_the_load_date_is_the_day_in_utc_on_which_the_run_started(kit, lake):
    west = timezone(timedelta(hours=-8))
    lake.store(kit.batch_of("a"), started_at=datetime(2026, 11, 24, 20, tzinfo=west))
    assert lake.listed() == ["lake/users/load_date=2026-11-25/part-0.parquet"]


def test_duckdb_reads_all_days_with_the_load_date_as_a_column(kit, lake):
    lake.store(kit.batch_of("a", "b"))
    lake.store(kit.batch_of("b", "c"), started_at=NIGHT + timedelta(days=1))
    folder = lake.download()
    with duckdb.connect() as connection:
        query = "SELECT load_date, distinct_id FROM read_parquet($1) ORDER BY ALL"
        rows = connection.execute(query, [f"{folder}/lake/users/**/*.parquet"]).fetchall()
    first, second = date(2026, 11, 24), date(2026, 11, 25)
    assert rows == [(first, "a"), (first, "b"), (second, "b"), (second, "c")]


def test_replace_replaces_the_day_and_leaves_the_others(kit, lake):
    lake.store(kit.batch_of("old"), started_at=NIGHT - timedelta(days=1))
    lake.store(kit.batch_of("wrong"))
    lake.store(kit.batch_of("right"), mode="replace")
    before, key = lake.listed()
    assert before == "lake/users/load_date=2026-11-23/part-0.parquet"
    assert key == KEY
    assert lake.ids(before) == ["old"]
    assert lake.ids(key) == ["right"]


def test_create_refuses_a_day_that_is_there_and_makes_the_next(kit, lake):
    lake.store(kit.batch_of("a"))
    words = rf"^s3://{lake.bucket}/{KEY} exists already; --replace puts the new rows in its place$"
    with pytest.raises(TableExistsError, match=words):
        lake.store(kit.batch_of("b"))
    lake.store(kit.batch_of("b"), started_at=NIGHT + timedelta(days=1))
    assert len(lake.listed()) == 2


def test_an_object_that_appeared_meanwhile_is_not_overwritten(kit, lake):
    engine = ParquetEngine(lake.location)
    load = engine.begin("users", "create", kit.run_info())
    load.write(0, kit.batch_of("mine"))
    lake.store(kit.batch_of("theirs"))
    with pytest.raises(TableExistsError):
        load.commit()
    engine.close()
    assert lake.ids() == ["theirs"]


@pytest.mark.parametrize("mode", ["create", "replace"])
def test_a_day_that_others_wrote_is_refused(kit, lake, mode):
    lake.put("lake/users/load_date=2026-11-24/_SUCCESS", b"")
    lake.store(kit.batch_of("a"))
    lake.put("lake/users/load_date=2026-11-24/part-7.parquet", b"theirs")
    with pytest.raises(ConfigError, match=r"holds part-7\.parquet, which is not of parquet://"):
        lake.store(kit.batch_of("b"), mode=mode)
    assert lake.get("lake/users/load_date=2026-11-24/part-7.parquet") == b"theirs"


def test_count_is_that_of_the_last_day(kit, lake):
    engine = ParquetEngine(lake.location)
    assert engine.count("users") is None
    lake.store(kit.batch_of("a", "b"), started_at=NIGHT - timedelta(days=1))
    lake.put("lake/users/load_date=2026-11-30/_started", b"")
    assert engine.count("users") == 2
    lake.store(kit.batch_of())
    assert engine.count("users") == 0
    lake.store(kit.batch_of(*map(str, range(20)), wide=10_000), mode="replace")
    assert engine.count("users") == 1  # large, and so not empty
    engine.close()


def test_without_partitions_the_location_is_the_object(kit, lake):
    location = f"s3://{lake.bucket}/{{table}}.parquet"
    options = {"location": location, "partition": "none"}
    lake.store(kit.batch_of("a"), **options)
    with pytest.raises(TableExistsError):
        lake.store(kit.batch_of("b"), **options)
    lake.store(kit.batch_of("b"), mode="replace", **options)
    assert lake.listed() == ["users.parquet"]
    assert lake.ids("users.parquet") == ["b"]
    assert ParquetEngine(location, partition="none").count("users") == 1


def test_a_bucket_alone_is_a_location(kit, lake):
    lake.store(kit.batch_of("a"), location=f"s3://{lake.bucket}")
    assert lake.listed() == ["load_date=2026-11-24/part-0.parquet"]
    assert ParquetEngine(f"s3://{lake.bucket}/").count("users") == 1


def test_keys_are_what_the_location_says_once_decoded(kit, lake):
    location = f"s3://{lake.bucket}/a%20b/ü=1/50%25/{{table}}"
    lake.store(kit.batch_of("a"), location=location, partition="none")
    assert lake.listed() == ["a b/ü=1/50%/users"]


@pytest.mark.parametrize("path", ["a//b", "a/../b", "./a", "a%0Ab", "a/%2e%2E/b"])
def test_what_names_no_object_is_refused(lake, path):
    with pytest.raises(ConfigError, match="names no object") as caught:
        ParquetEngine(f"s3://{lake.bucket}/{path}").check("users", "create")
    assert "\n" not in str(caught.value)


def test_only_locations_with_the_tables_name_take_tables_at_the_same_time():
    for place in ("s3://bucket/lake", "s3://bucket/x?y", "out.parquet"):
        assert ParquetEngine(place).capabilities == {"replace", "keyed"}
    for place in ("s3://bucket/lake/{table}", "s3://bucket/%7Btable%7D", "{table}.parquet"):
        assert ParquetEngine(place).capabilities == {"replace", "keyed", "concurrent"}


def test_two_tables_of_one_location_land_at_the_same_time(kit, lake):
    engines = {table: ParquetEngine(lake.location) for table in ("users", "groups")}
    loads = {
        table: engine.begin(table, "create", kit.run_info(table=table))
        for table, engine in engines.items()
    }
    for table, load in loads.items():
        load.write(0, kit.batch_of(table))
    for table, load in loads.items():
        load.commit()
        engines[table].close()
    for table in engines:
        assert lake.ids(f"lake/{table}/load_date=2026-11-24/part-0.parquet") == [table]


def test_a_large_file_goes_in_parts_and_comes_back_whole(kit, lake, proxy):
    lake.store(kit.large(), compression="uncompressed")
    assert {request.part for request in proxy.seen} == {None, 1, 2, 3, 4}
    assert lake.ids() == kit.LARGE
    assert lake.uploads() == []


def test_google_s_stores_are_spoken_to_in_the_same_way(kit, lake, emulator, monkeypatch):
    """Their XML API is near enough to Amazon's for the emulator to answer it."""
    monkeypatch.setenv("GOOGLE_BASE_URL", emulator.url)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "t0ken")
    location = lake.location.replace("s3://", "gs://")
    lake.store(kit.batch_of("old"), location=location)
    assert ParquetEngine(location).count("users") == 1
    with pytest.raises(TableExistsError, match=rf"^gs://{lake.bucket}/{KEY} exists already"):
        lake.store(kit.batch_of("a"), location=location)
    lake.store(kit.large(), location=location, mode="replace", compression="uncompressed")
    assert lake.ids() == kit.LARGE
    assert lake.uploads() == []


def test_nothing_is_left_among_the_temporary_files(kit, lake):
    lake.store(kit.batch_of("a"))
    engine = ParquetEngine(lake.location)
    engine.begin("users", "replace", kit.run_info("replace")).write(0, kit.batch_of("b"))
    [folder] = lake.temporary.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    engine.close()
    assert list(lake.temporary.iterdir()) == []
