"""A store that fails: one line, no secret, the old object as it was, no parts left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.errors import ConfigError, StorageError

KEY = "lake/users/load_date=2026-11-24/part-0.parquet"


def answer(code: str, status: int, when):
    body = f"<Error><Code>{code}</Code><Message>AKIDENVIRONMENT sEcReT</Message></Error>"
    return lambda request: (status, body.encode()) if when(request) else None


def refusal(location, **options) -> str:
    with pytest.raises(ConfigError) as caught:
        ParquetEngine(location, **options).check("users", "create")
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.__cause__ is None
    return text


def test_a_missing_bucket(lake):
    assert refusal("s3://no-such-bucket/x") == (
        "cannot use s3://no-such-bucket: there is no such bucket"
    )
    assert "no such bucket" in refusal("s3://no-such-bucket/x", partition="none")


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("AccessDenied", 403, "access is denied"),
        ("Whatever", 403, "access is denied"),
        ("InvalidAccessKeyId", 403, "the store does not know the access key"),
        ("SignatureDoesNotMatch", 403, "the secret access key is not that of the access key"),
        ("ExpiredToken", 400, "the credentials have expired"),
        ("PermanentRedirect", 301, "the bucket is in another region; set the option region"),
        ("RequestTimeTooSkewed", 403, "this machine's clock differs too much from the store's"),
        ("Teapot", 418, "the store answered 418 I'm a teapot (Teapot)"),
    ],
)
def test_what_a_store_answers_is_said_in_words(lake, proxy, code, status, words):
    proxy.rule = answer(code, status, lambda request: True)
    assert refusal(lake.location) == f"cannot use s3://{lake.bucket}: {words}"


def test_a_store_that_nobody_listens_for(lake):
    said = refusal(lake.location, endpoint="http://127.0.0.1:1", timeout=1)
    assert said.endswith(": the store cannot be reached")


def fail_while_uploading(kit, lake, **options) -> str:
    """Fail to replace an object by a large one; return what was said."""
    lake.store(kit.batch_of("old"))
    with pytest.raises(StorageError) as caught:
        lake.store(kit.large(), mode="replace", compression="uncompressed", **options)
    assert caught.value.exit_code == 1
    assert caught.value.__cause__ is None
    assert lake.ids() == ["old"]
    assert list(lake.temporary.iterdir()) == []
    text = str(caught.value)
    assert text.startswith(f"cannot write s3://{lake.bucket}/{KEY}: ")
    assert "\n" not in text
    assert "AKID" not in text
    return text.partition("parquet: ")[2]


def assert_no_parts(lake) -> None:
    """Only with Python 3.10 they may stay: obstore 0.11, the last one for it, leaves them."""
    if sys.version_info >= (3, 11):
        assert lake.uploads() == []


@pytest.mark.parametrize("part", [1, 4])
def test_access_is_lost_while_uploading(kit, lake, proxy, part):
    proxy.rule = answer("AccessDenied", 403, lambda request: request.part == part)
    said = fail_while_uploading(kit, lake)
    assert said == "access is denied"
    assert_no_parts(lake)


def test_a_store_stops_answering_while_uploading(kit, lake, proxy):
    proxy.rule = lambda request: proxy.let_go.wait(120) and None if request.part == 3 else None
    said = fail_while_uploading(kit, lake, timeout=1)
    assert said == "the store did not answer within 1 seconds"
    assert_no_parts(lake)


def test_the_connection_breaks_while_uploading(kit, lake, proxy):
    def drop(request):
        if request.part == 2:
            raise proxy.Drop

    proxy.rule = drop
    said = fail_while_uploading(kit, lake)
    assert said in {"the connection to the store broke", "the store cannot be reached"}
    assert_no_parts(lake)


def test_an_error_that_passes_is_survived(kit, lake, proxy):
    failed = set()

    def once(request):
        if request.part in failed or request.part is None:
            return None
        failed.add(request.part)
        return 503, b"<Error><Code>SlowDown</Code></Error>"

    proxy.rule = once
    lake.store(kit.large(), compression="uncompressed")
    assert failed == {1, 2, 3, 4}
    assert lake.ids() == kit.LARGE


def test_the_upload_cannot_be_completed(kit, lake, proxy):
    proxy.rule = answer(
        "QuotaExceeded",
        403,
        lambda request: request.method == "POST" and "uploadId" in request.path,
    )
    said = fail_while_uploading(kit, lake)
    assert said == "the store is full"
    assert lake.uploads() == []


def test_without_room_for_what_is_staged_it_is_the_folder_that_is_named(kit, lake):
    lake.temporary.rmdir()
    with pytest.raises(StorageError, match=rf"^cannot write {lake.temporary}/mixpanel-fetch-"):
        lake.store(kit.batch_of("a"))


@pytest.mark.parametrize("missing", ["obstore", "botocore"])
def test_what_is_not_installed_is_said_with_the_name_of_the_extra(missing):
    script = f"""
import sys
sys.modules[{missing!r}] = None
from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
ParquetEngine("x.parquet").check("users", "create")
from mixpanel_fetch.errors import ConfigError
try:
    ParquetEngine("s3://bucket/x").check("users", "create")
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"s3:// needs more than is installed ({missing} is missing):"
        " pip install 'mixpanel-fetch[object-store]'\n"
    )


def test_a_file_on_this_machine_needs_neither(tmp_path):
    script = f"""
import sys
from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
ParquetEngine("s3://bucket/x")
engine = ParquetEngine({str(tmp_path / "x.parquet")!r})
engine.check("users", "create")
print(sorted({{"obstore", "botocore", "duckdb"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_other_schemes_are_refused():
    with pytest.raises(ConfigError, match=r"takes a path, or a location in s3, gs, az; not ftp://"):
        ParquetEngine("ftp://host/x")
