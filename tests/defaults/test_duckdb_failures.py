from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import duckdb
import pytest

from mixpanel_fetch.defaults.duckdb_sink import database, failures, memory
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import ConfigError, FetchInterruptedError, StorageError

ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False


def refused(call, *arguments):
    with pytest.raises((ConfigError, StorageError)) as caught:
        call(*arguments)
    assert str(caught.value).isprintable()
    return caught.value


def test_check_creates_nothing(path):
    engine = DuckDBEngine(path)
    for mode in ("create", "merge", "replace"):
        engine.check("users", mode)
    engine.close()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.write_bytes(b"no database" * 500), "not a valid DuckDB database"),
        (lambda path: path.write_bytes(b""), "not a valid DuckDB database"),
        (lambda path: path.mkdir(), "it is a directory"),
        (lambda path: path.symlink_to(path), "it is a link to nothing"),
    ],
)
def test_a_file_that_is_no_database_is_refused(kit, path, prepare, message):
    prepare(path)
    engine = DuckDBEngine(path)
    for call in (engine.check, lambda *a: engine.begin(*a, kit.run_info())):
        error = refused(call, "users", "create")
        assert message in str(error)
        assert error.exit_code == 3
    engine.close()


def test_a_directory_that_is_missing_or_no_directory(path):
    (path.parent / "file").write_text("x")
    for parent, message in (("missing", "there is no directory"), ("file", "file")):
        engine = DuckDBEngine(path.parent / parent / "r.db")
        assert message in str(refused(engine.check, "users", "create"))


@pytest.mark.parametrize("exists", [True, False])
def test_permissions_are_looked_at_before_any_request(kit, path, monkeypatch, exists):
    if exists:
        kit.make(path)
    monkeypatch.setattr(database.os, "access", lambda *a: False)
    assert "no permission" in str(refused(DuckDBEngine(path).check, "users", "create"))


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_read_only_file_is_refused(kit, path):
    kit.make(path)
    path.chmod(0o400)
    assert "no permission" in str(refused(DuckDBEngine(path).check, "users", "create"))


def test_a_file_held_by_another_process_is_waited_for_then_named(kit, path, monkeypatch):
    monkeypatch.setattr(database, "LOCK_WAIT", 0.2)
    program = (
        f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline()
        engine = DuckDBEngine(path)
        error = refused(engine.check, "users", "create")
        assert f"pid {holder.pid}" in str(error)
        assert error.exit_code == 3
        monkeypatch.setattr(database, "LOCK_WAIT", 20)
        holder.stdin.close()
        engine.check("users", "create")
        engine.close()


def test_a_full_disk_in_mid_run_is_one_line_and_keeps_the_old_table(kit, path):
    kit.fetch(DuckDBEngine(path), {0: kit.batch("old")})
    program = f"""
        import random, resource, signal
        from mixpanel_fetch.batch import Batch
        from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
        from mixpanel_fetch.errors import StorageError
        from mixpanel_fetch.model import ProfileQuery, RunInfo
        from datetime import datetime, timezone
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        engine = DuckDBEngine({str(path)!r})
        run = RunInfo("r", "users", "replace", ProfileQuery(), "s", None, 100, 100, (), {{}},
                      datetime.now(timezone.utc), "duckdb:///r.db")
        load = engine.begin("users", "replace", run)
        try:
            for page in range(100):
                noise = '{{"a":"' + random.randbytes(20_000).hex() + '"}}'
                load.write(page, Batch([str(page)], [noise.encode()], [None]))
                load.landed_pages()
        except StorageError as error:
            print("refused", error)
        load.suspend()
        engine.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("refused cannot store page"), done
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert kit.values(path) == {"old": "1"}
    engine = DuckDBEngine(path)
    info = engine.interrupted("users")
    assert info is not None
    landed = engine.begin("users", "replace", info).landed_pages()
    engine.close()
    assert landed == frozenset(range(len(landed)))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (duckdb.InterruptException("INTERRUPT Error: Interrupted!"), FetchInterruptedError, "int"),
        (duckdb.OutOfMemoryException("Out of Memory Error: x\n\ny"), StorageError, "memory_limit"),
        (duckdb.IOException("IO Error: No space left on device"), StorageError, "no space left"),
        (duckdb.FatalException("FATAL Error: broken\nstack"), StorageError, "doing: broken"),
        (duckdb.FatalException(""), StorageError, "doing: FatalException"),
        (
            duckdb.ConversionException(
                'Conversion Error: Malformed JSON.  Input: "{secret"\n\nLINE'
            ),
            StorageError,
            "doing: Malformed JSON.",
        ),
        (duckdb.BinderException("Binder Error: " + "x" * 999), StorageError, "xxx..."),
        (
            duckdb.IOException("IO Error: it is being used by another process"),
            ConfigError,
            "open in another process;",
        ),
    ],
)
def test_every_error_of_duckdb_becomes_one_of_ours_in_one_line(error, kind, message):
    explained = failures.explained(error, "doing")
    assert type(explained) is kind
    assert message in str(explained)
    assert str(explained).isprintable()
    assert "secret" not in str(explained)
    assert len(str(explained)) < 320


def test_begin_that_fails_leaves_no_file(kit, path):
    engine = DuckDBEngine(path)
    refused(engine.begin, "nowhere.users", "create", kit.run_info())
    assert list(path.parent.iterdir()) == []


def test_an_abort_that_cannot_remove_the_file_says_so(kit, path, monkeypatch):
    from mixpanel_fetch.defaults.duckdb_sink import engine as module

    def broken(path):
        raise PermissionError(13, "Permission denied")

    engine = DuckDBEngine(path)
    load = engine.begin("users", "create", kit.run_info())
    monkeypatch.setattr(module, "remove_file", broken)
    assert "cannot remove" in str(refused(load.abort))


def test_suspend_never_hides_the_error_before_it(kit, path):
    engine = DuckDBEngine(path)
    load = engine.begin("users", "create", kit.run_info())
    engine.close()
    assert "cannot store page 0" in str(refused(load.write, 0, kit.batch("a")))
    load.suspend()
    assert "cannot take back" in str(refused(load.abort))


def test_a_foreign_table_in_our_schema_is_one_line(kit, path):
    kit.make(
        path,
        "CREATE SCHEMA mixpanel_fetch",
        "CREATE TABLE mixpanel_fetch.runs (a INT)",
        "CREATE TABLE mixpanel_fetch.pages (a INT)",
    )
    engine = DuckDBEngine(path)
    assert "cannot read the database" in str(refused(engine.runs))
    refused(engine.begin, "users", "create", kit.run_info())
    engine.close()


def test_publishing_gets_more_memory_rather_than_fail(kit, path, monkeypatch):
    from mixpanel_fetch.defaults.duckdb_sink import load as module

    tried = []

    def starved(*arguments):
        tried.append(arguments)
        if len(tried) == 1:
            raise duckdb.OutOfMemoryException("Out of Memory Error")
        return original(*arguments)

    original = module.publish
    monkeypatch.setattr(module, "publish", starved)
    assert kit.fetch(DuckDBEngine(path), {0: kit.batch("a")}).total_rows == 1
    assert len(tried) == 2


def test_the_limit_follows_the_index(monkeypatch):
    monkeypatch.setattr(memory, "WORKING", 0)
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '110MB'")
        before = connection.execute("SELECT current_setting('memory_limit')").fetchone()
        budget = memory.MemoryBudget(connection, 110_000_000)
        budget.make_room(1000)
        assert connection.execute("SELECT current_setting('memory_limit')").fetchone() == before
        budget.make_room(1_000_000)
        raised = connection.execute("SELECT current_setting('memory_limit')").fetchone()
        assert raised == ("152.5 MiB",)
        budget.lift()
        lifted = connection.execute("SELECT current_setting('memory_limit')").fetchone()
        assert lifted != raised
        # Once lifted it stays so: the second attempt must not run into the first one's limit.
        budget.make_room(2_000_000)
        assert connection.execute("SELECT current_setting('memory_limit')").fetchone() == lifted


def test_a_question_mark_in_a_path_is_refused(tmp_path):
    engine = DuckDBEngine(tmp_path / "what?" / "x.duckdb")
    with pytest.raises(ConfigError, match="question mark"):
        engine.check("users", "create")
