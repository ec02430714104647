"""What is wrong is one line that says what to do, with the right exit code and without a secret."""

from __future__ import annotations

import os
import socket
import urllib.request
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.schema import Field, PrimitiveType, Schema
from mixpanel_fetch_delta import failures
from mixpanel_fetch_delta.engine import DeltaEngine

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import StorageError, TableExistsError, TableNotFoundError


def schema(**columns):
    return Schema([Field(name, PrimitiveType(kind)) for name, kind in columns.items()])


OURS = {"distinct_id": "string", "properties": "string", "last_seen": "timestamp"}


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {**OURS, "last_seen": "timestamp_ntz"},
            "last_seen is timestamp_ntz, it must be timestamp",
        ),
        ({"distinct_id": "string"}, "properties is missing, it must be string"),
        ({**OURS, "country": "string"}, "it has the column country"),
    ],
)
def test_a_table_with_other_columns_is_refused(folder, refused, mode, columns, words):
    DeltaTable.create(f"{folder.url}/users", schema(**columns))
    assert words in refused(folder.engine().check, "users", mode)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"partition_by": ["last_seen"]}, "it is partitioned"),
        ({"configuration": {"delta.appendOnly": "true"}}, "it is append-only"),
    ],
)
def test_a_table_that_wants_more_than_files_is_refused(folder, refused, settings, words):
    DeltaTable.create(f"{folder.url}/users", schema(**OURS), **settings)
    assert words in refused(folder.engine().check, "users", "merge")


def test_a_table_with_constraints_is_refused(folder, refused):
    table = DeltaTable.create(f"{folder.url}/users", schema(**OURS))
    table.alter.add_constraint({"short": "distinct_id <> 'x'"})
    assert "it has constraints" in refused(folder.engine().check, "users", "append")


def test_a_table_that_another_writer_has_made_takes_profiles(kit, folder):
    kit.fetch(folder.engine(), {0: kit.batch("a")}, table="donor")
    donor = folder.table("donor").scan()
    write_deltalake(f"{folder.url}/users", donor)
    kit.fetch(folder.engine(), {0: kit.batch("a", "b", value=2)}, "merge")
    assert folder.values() == {"a": 2, "b": 2}


@pytest.mark.parametrize("mode", ["create", "merge", "replace"])
def test_files_that_are_no_table_are_left_alone(place, bucket, store, refused, mode):
    if place is bucket:
        put = urllib.request.Request(
            f"{store.endpoint}{bucket.url.removeprefix('s3:/')}/users/mine.csv", b"1", method="PUT"
        )
        urllib.request.urlopen(put, timeout=30).close()
    else:
        Path(place.url, "users").mkdir(parents=True)
        Path(place.url, "users", "mine.csv").write_text("1")
    message = refused(place.engine().check, "users", mode)
    assert "holds files (such as mine.csv) and no Delta table" in message


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("create", (TableExistsError, "use --append, --merge or --replace")),
        ("append", (TableNotFoundError, "leave out --append")),
    ],
)
def test_modes_that_do_not_fit_say_which_do(kit, place, refused, mode, error):
    kind, words = error
    if mode == "create":
        kit.fetch(place.engine(), {0: kit.batch("a")})
    elif "://" not in place.url:
        Path(place.url).mkdir()
    assert words in refused(place.engine().check, "users", mode, kind=kind)
    assert kind.exit_code == 3


def test_a_folder_that_cannot_be_is_refused(tmp_path, refused):
    assert f"there is no folder {tmp_path}/no" in refused(
        DeltaEngine(f"{tmp_path}/no/lake").check, "users", "create"
    )
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(DeltaEngine(f"{tmp_path}/file").check, "users", "create")
    assert "there is no folder" in refused(DeltaEngine(f"{tmp_path}/lake").tables)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_refused(tmp_path, refused):
    (tmp_path / "lake").mkdir(mode=0o500)
    assert "no permission" in refused(DeltaEngine(f"{tmp_path}/lake").check, "users", "create")


@pytest.mark.parametrize("name", ["../up", "a/b", "", "_delta_log", ".hidden", "a\nb", "x" * 200])
def test_a_name_that_is_no_folder_is_refused(folder, refused, name):
    assert "cannot be a table's folder" in refused(folder.engine().check, name, "create")


@pytest.mark.parametrize(
    ("location", "options", "words"),
    [
        ("", {}, "needs a folder"),
        ("gs://bucket", {}, "has no tables in gs://"),
        ("a%2520b", {}, "takes no %"),
        ("s3://", {}, "s3://BUCKET/PREFIX"),
        ("s3://key:h!dden/w0rd@bucket/x", {}, "AWS_SECRET_ACCESS_KEY"),
        ("lake", {"region": "x"}, "region is for an object store"),
        ("lake", {"memory_limit": "1MB"}, "must be at least 100MB"),
        ("lake", {"keep": "soon"}, "keep: Not a valid number"),
    ],
)
def test_a_location_or_option_that_cannot_be_is_refused(refused, location, options, words):
    assert words in refused(lambda: DeltaEngine(location, **options))


def test_a_bucket_that_is_missing_is_one_line(bucket, refused):
    engine = DeltaEngine("s3://no-such-bucket/x", **bucket.options)
    assert refused(engine.check, "users", "create") == (
        "cannot use s3://no-such-bucket/x: there is no such bucket"
    )


def test_an_address_where_nobody_is_is_one_line(bucket, refused, monkeypatch):
    from mixpanel_fetch_delta import bucket as module

    monkeypatch.setitem(module._RETRIES, "max_retries", 0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        engine = DeltaEngine("s3://lake/x", **{**bucket.options, "endpoint_url": endpoint})
        assert "see the option endpoint_url" in refused(engine.check, "users", "create")


def test_plain_http_must_be_allowed(bucket, refused):
    options = {**bucket.options, "allow_http": "false"}
    assert "allow_http=true" in refused(
        DeltaEngine(bucket.location, **options).check, "u", "create"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<Code>InvalidAccessKeyId</Code>", "does not know the access key"),
        ("<Code>SignatureDoesNotMatch</Code>", "the secret key is wrong"),
        ("<Code>AccessDenied</Code>", "no permission"),
        ("<Code>ExpiredToken</Code>", "expired"),
        ("<Code>SlowDown</Code><Message>x</Message>", "the store says SlowDown"),
        ("write error: No space left on device\nat line 1", "no space left"),
    ],
)
def test_what_a_store_says_is_said_in_plain_words(text, words):
    assert words in failures.reason(OSError(text))


def test_keys_may_come_from_the_environment(kit, bucket, monkeypatch):
    for name, value in bucket.options.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    engine = DeltaEngine(bucket.location)
    kit.fetch(engine, {0: kit.batch("a")})
    assert engine.count("users") == 1
    assert bucket.values() == {"a": 1}


def test_a_row_that_is_none_is_named(kit, folder, refused):
    engine = folder.engine()
    load = engine.begin("users", "create", kit.run_info())
    bad = Batch(["good", "bad"], [b"{}", b"\xff"], [None, None])
    assert "page 1, row 1 ('bad')" in refused(load.write, 1, bad, kind=StorageError)
    load.abort()
    engine.close()


def test_a_log_that_cannot_be_read_is_one_line(kit, folder, refused):
    kit.fetch(folder.engine(), {0: kit.batch("a")})
    log = Path(folder.url, "users", "_delta_log", f"{0:020}.json")
    log.write_text("{broken\n")
    assert "cannot look at table users" in refused(folder.engine().check, "users", "merge")
