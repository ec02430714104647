from __future__ import annotations

import errno
import gzip
import io
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults import jsonl_sink
from mixpanel_fetch.defaults.jsonl_sink import JsonlFile, JsonlStdout, open_sink
from mixpanel_fetch.defaults.jsonl_sink.lines import row_lines
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
        destination="jsonl://out.jsonl",
    )


def batch_of(*ids: str) -> Batch:
    return Batch(list(ids), [b'{"plan":"pro"}'] * len(ids), [SEEN] * len(ids))


def store(path: Path, *batches: Batch, mode: Mode = "create") -> LoadReport:
    engine = JsonlFile(str(path))
    load = engine.begin("profiles", mode, run_info(mode=mode))
    for index, batch in enumerate(batches):
        assert load.write(index, batch) == len(batch)
    report = load.commit()
    engine.close()
    return report


def names_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


def ids_in(path: Path) -> list[str]:
    return [json.loads(line)["distinct_id"] for line in path.read_bytes().splitlines()]


def test_a_line_is_a_row(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    seen = datetime(2026, 1, 31, 12, 30, 1, 250000, tzinfo=timezone.utc)
    batch = Batch(["a", "b", "c"], [b'{"n":1}', b"{}", b"{}"], [SEEN, None, seen])
    assert store(target, batch) == LoadReport(total_rows=3, inserted=3, updated=0)
    assert target.read_bytes() == (
        b'{"distinct_id":"a","properties":{"n":1},"last_seen":"2026-01-31T00:00:00Z"}\n'
        b'{"distinct_id":"b","properties":{},"last_seen":null}\n'
        b'{"distinct_id":"c","properties":{},"last_seen":"2026-01-31T12:30:01.250000Z"}\n'
    )
    assert names_in(tmp_path) == ["out.jsonl"]


def test_values_keep_their_very_bytes(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    properties = (
        rb'{"f":1.10,"zero":-0,"big":123456789012345678901234567890,"nul":"\u0000\n",'
        rb'"mended":"\ufffd","a.b":1,"q\"q":2,"Key":3,"key":4,"deep":[ {"x": [null ]}]}'
    )
    store(target, Batch(['a\0é🙂"\n'], [properties], [None]))
    [line] = target.read_bytes().splitlines()
    assert properties in line
    assert json.loads(line)["distinct_id"] == 'a\0é🙂"\n'


def test_line_breaks_between_tokens_do_not_break_the_line(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    store(target, Batch(["a"], [b'{"a":{\r\n  "b": 1\n}}'], [None]))
    assert target.read_bytes().count(b"\n") == 1
    assert json.loads(target.read_bytes())["properties"] == {"a": {"b": 1}}


def test_every_row_is_written_as_it_came_in_the_order_of_landing(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert store(target, batch_of("a", "b"), Batch(), batch_of("a")).total_rows == 3
    assert ids_in(target) == ["a", "b", "a"]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    store(target, Batch())
    assert target.read_bytes() == b""


def test_a_gz_file_is_the_same_gzipped_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"
    store(first, batch_of("a"), batch_of("b"))
    store(second, batch_of("a"), batch_of("b"))
    assert first.read_bytes() == second.read_bytes()
    rows = gzip.decompress(first.read_bytes()).splitlines()
    assert [json.loads(row)["distinct_id"] for row in rows] == ["a", "b"]


def test_nothing_is_at_the_target_until_commit(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "create", run_info("r42"))
    load.write(0, batch_of("a"))
    assert names_in(tmp_path) == [".out.jsonl.r42.partial"]
    assert load.landed_pages() == frozenset()
    load.commit()
    load.abort()
    engine.close()
    assert ids_in(target) == ["a"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
@pytest.mark.parametrize("end", ["abort", "suspend", "close"])
def test_an_end_without_commit_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, name: str, end: str
) -> None:
    target = tmp_path / name
    target.write_bytes(b"old\n")
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "replace", run_info())
    load.write(0, batch_of("a"))
    for _ in range(2):
        (engine.close if end == "close" else getattr(load, end))()
    assert target.read_bytes() == b"old\n"
    assert names_in(tmp_path) == [name]
    for late in (lambda: load.write(1, batch_of("b")), load.commit):
        with pytest.raises(StorageError, match="has ended"):
            late()


def test_a_killed_run_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"old\n")
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_jsonl_sink import JsonlFile, batch_of, run_info
load = JsonlFile({str(target)!r}).begin("profiles", "replace", run_info())
load.write(0, batch_of(*map(str, range(5000))))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert target.read_bytes() == b"old\n"


def test_replace_puts_the_new_rows_in_place_and_keeps_the_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"old\n")
    target.chmod(0o640)
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "replace", run_info())
    [partial] = tmp_path.glob(".*")
    assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    load.write(0, batch_of("new"))
    load.commit()
    assert ids_in(target) == ["new"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_replace_without_an_old_file_creates_one(tmp_path: Path) -> None:
    store(tmp_path / "out.jsonl", batch_of("a"), mode="replace")
    assert ids_in(tmp_path / "out.jsonl") == ["a"]


def test_of_a_symbolic_link_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_bytes(b"old\n")
    link.symlink_to(real)
    store(link, batch_of("new"), mode="replace")
    assert link.is_symlink()
    assert ids_in(real) == ["new"]


def test_an_existing_file_needs_replace(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"")
    engine = JsonlFile(str(target))
    for refused in (
        lambda: engine.check("profiles", "create"),
        lambda: engine.begin("profiles", "create", run_info()),
    ):
        with pytest.raises(TableExistsError, match="--replace"):
            refused()


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "create", run_info())
    target.write_bytes(b"somebody else's\n")
    with pytest.raises(TableExistsError):
        load.commit()
    engine.close()
    assert target.read_bytes() == b"somebody else's\n"
    assert names_in(tmp_path) == ["out.jsonl"]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_file_cannot_be_added_to(tmp_path: Path, mode: Mode) -> None:
    with pytest.raises(ConfigError, match=f"jsonl cannot {mode}"):
        JsonlFile(str(tmp_path / "out.jsonl")).check("profiles", mode)


@pytest.mark.parametrize("location", ["", "a%00b", "loop", ".", "fifo", "no/such/dir/x", "file/x"])
def test_a_location_that_cannot_be_written_is_one_line(
    tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    Path("file").touch()
    with pytest.raises(ConfigError) as caught:
        JsonlFile(location).check("profiles", "replace")
    assert "\n" not in str(caught.value)


def test_a_directory_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(ConfigError, match="no permission in"):
        JsonlFile(str(tmp_path / "out.jsonl")).check("profiles", "create")


def test_a_name_too_long_for_the_hidden_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        JsonlFile(str(tmp_path / ("x" * 250))).begin("profiles", "create", run_info())


def test_the_location_is_percent_decoded_and_may_hold_the_table(tmp_path: Path) -> None:
    engine = JsonlFile(f"{tmp_path}/a%20b%3F/{{table}}.jsonl")
    assert engine.path("Ünits 1") == tmp_path / "a b?" / "Ünits 1.jsonl"
    assert JsonlFile(str(tmp_path / "x")).path("any/thing") == tmp_path / "x"


@pytest.mark.parametrize("table", ["../x", "a/b", "a\\b", "..", ".", "", "a\0b"])
def test_a_table_that_leaves_its_directory_is_refused(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConfigError, match="cannot be part of a file name"):
        JsonlFile(f"{tmp_path}/{{table}}").check(table, "create")


def test_count_tells_empty_from_not_empty_from_missing(tmp_path: Path) -> None:
    assert JsonlFile(str(tmp_path / "none.jsonl")).count("profiles") is None
    for name in ("x.jsonl", "x.jsonl.gz"):
        target = tmp_path / name
        store(target, Batch())
        assert JsonlFile(str(target)).count("profiles") == 0
        store(target, batch_of("a", "b"), mode="replace")
        assert JsonlFile(str(target)).count("profiles") == 1
    (tmp_path / "bad.gz").write_bytes(b"not gzip at all")
    assert JsonlFile(str(tmp_path / "bad.gz")).count("profiles") == 1


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond 50 kB, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"old\n")
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "replace", run_info())
    with pytest.raises(StorageError) as caught:
        load.write(0, batch_of(*map(str, range(5000))))
    assert str(caught.value) == f"cannot write {target}: File too large"
    with pytest.raises(StorageError, match="has ended"):
        load.commit()
    engine.close()
    assert target.read_bytes() == b"old\n"
    assert names_in(tmp_path) == ["out.jsonl"]


def test_a_commit_that_fails_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"old\n")
    engine = JsonlFile(str(target))
    load = engine.begin("profiles", "replace", run_info())
    load.write(0, batch_of("a"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"(?i)no space left on"):
        load.commit()
    engine.close()
    assert target.read_bytes() == b"old\n"
    assert names_in(tmp_path) == ["out.jsonl"]


def test_file_and_directory_are_synced_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    sync = os.fsync

    def recording(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        sync(descriptor)

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(os, "fsync", recording)
    store(tmp_path / "out.jsonl", batch_of("a"))
    assert synced == [False, True]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_one_engine_serves_runs_from_different_threads(tmp_path: Path) -> None:
    engine = JsonlFile(f"{tmp_path}/{{table}}.jsonl")

    def fetch(table: str) -> None:
        load = engine.begin(table, "create", run_info(table))
        load.write(0, batch_of(table))
        load.commit()
        engine.close()

    for table in ("one", "two"):
        thread = threading.Thread(target=fetch, args=(table,))
        thread.start()
        thread.join()
    assert ids_in(tmp_path / "one.jsonl") == ["one"]
    assert ids_in(tmp_path / "two.jsonl") == ["two"]


class FakeStdout:
    def __init__(self, buffer: BinaryIO) -> None:
        self.buffer = buffer


def test_stdout_gets_each_page_as_it_lands(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", FakeStdout(out))
    engine = open_sink("-")
    assert isinstance(engine, JsonlStdout)
    assert engine.capabilities == {"stream"}
    load = engine.begin("profiles", "create", run_info())
    assert load.write(0, batch_of("a", "b")) == 2
    assert out.getvalue().count(b"\n") == 2
    load.commit()
    engine.close()
    engine.close()


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_stdout_can_only_be_written_to(mode: Mode) -> None:
    with pytest.raises(ConfigError, match=f"cannot {mode}"):
        JsonlStdout().check("profiles", mode)


@pytest.mark.parametrize("stdout", [None, io.StringIO()])
def test_a_stdout_without_bytes_is_refused(monkeypatch: pytest.MonkeyPatch, stdout: object) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    with pytest.raises(ConfigError, match="name a file"):
        JsonlStdout().check("profiles", "create")


def test_a_reader_that_went_away_is_told_from_other_failures() -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mixpanel_fetch.errors import ReaderGoneError
from test_jsonl_sink import JsonlStdout, batch_of, run_info
load = JsonlStdout().begin("profiles", "create", run_info())
try:
    for page in range(100):
        load.write(page, batch_of(*map(str, range(1000))))
except ReaderGoneError as error:
    print(error, error.exit_code, file=sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
"""
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.readline()
        writer.stdout.close()
        message = writer.stderr.read().decode()
    assert message == "the reader of standard output went away before all rows were written 141\n"


def test_a_stdout_that_takes_no_more_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", FakeStdout(Full()))
    load = JsonlStdout().begin("profiles", "create", run_info())
    with pytest.raises(StorageError, match=r"(?i)cannot write standard output: no space left"):
        load.write(0, batch_of("a"))


class Grudging(io.BytesIO):
    """An unbuffered stream, which may take a part of what it is given, or nothing."""

    most: int | None = 7

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        return None if self.most is None else super().write(memoryview(data)[: self.most])


def test_a_stdout_that_takes_parts_gets_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Grudging()
    monkeypatch.setattr(sys, "stdout", FakeStdout(out))
    batch = batch_of(*map(str, range(50)))
    JsonlStdout().begin("profiles", "create", run_info()).write(0, batch)
    assert out.getvalue() == row_lines(batch)


def test_a_stdout_that_does_not_wait_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Grudging()
    out.most = None
    monkeypatch.setattr(sys, "stdout", FakeStdout(out))
    load = JsonlStdout().begin("profiles", "create", run_info())
    with pytest.raises(StorageError, match="cannot write standard output: it is set not to wait"):
        load.write(0, batch_of("a"))


def test_a_pipe_is_opened_for_a_run_and_closed_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as out:
        monkeypatch.setattr(sys, "stdout", FakeStdout(out))
        before = len(list(Path("/proc/self/fd").iterdir()))
        engine = JsonlStdout()
        for _ in range(3):
            engine.begin("profiles", "create", run_info()).write(0, batch_of("a"))
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
        engine.close()
        engine.close()
        engine.interrupt()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_interrupt_ends_the_wait_for_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as out:
        monkeypatch.setattr(sys, "stdout", FakeStdout(out))
        engine = JsonlStdout()
        load = engine.begin("profiles", "create", run_info())
        threading.Timer(0.2, engine.interrupt).start()
        with pytest.raises(StorageError, match="interrupted while nobody read"):
            load.write(0, batch_of(*map(str, range(5000))))
        engine.close()


def test_the_plugin_registers_its_sink() -> None:
    [spec] = jsonl_sink.register_sinks()
    assert spec.name == "jsonl"
    assert spec.capabilities == {"replace", "concurrent"}
    assert isinstance(spec.factory("out.jsonl"), JsonlFile)


def test_tables_land_at_the_same_time_where_each_has_a_file() -> None:
    assert JsonlFile("{table}.jsonl").capabilities == {"replace", "concurrent"}
    assert JsonlFile("out.jsonl").capabilities == {"replace"}
