from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from marshmallow import ValidationError

from mixpanel_fetch.defaults import duckdb_sink
from mixpanel_fetch.defaults.duckdb_sink import options
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import ConfigError, FetchInterruptedError, MixpanelFetchError

SETTINGS = ("memory_limit", "checkpoint_threshold", "threads")


@pytest.fixture
def host():
    with duckdb.connect() as connection:
        yield connection


def settings_of(connection):
    return [connection.execute(f"SELECT current_setting('{s}')").fetchone()[0] for s in SETTINGS]


def test_naming_the_plugin_imports_neither_duckdb_nor_marshmallow():
    program = (
        "import sys, mixpanel_fetch.defaults.duckdb_sink as plugin\n"
        "assert not {'duckdb', 'marshmallow'} & set(sys.modules), sys.modules\n"
        "spec, = plugin.register_sinks()\n"
        "assert 'duckdb' not in sys.modules\n"
        "assert plugin.DuckDBEngine(spec.name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_spec_is_what_the_host_of_plugins_expects(path):
    (spec,) = duckdb_sink.register_sinks()
    assert spec.name == "duckdb"
    ways = {"append", "replace", "merge"}
    assert spec.capabilities == ways | {"keyed", "resume", "query", "sync", "columns"}
    chosen = spec.options().load({"threads": "2", "memory_limit": "300MB"})
    engine = spec.factory(str(path), **chosen)
    engine.check("users", "create")
    assert engine.capabilities == spec.capabilities
    with pytest.raises(AttributeError):
        _ = duckdb_sink.nothing


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("r.db", Path("r.db")),
        ("/abs/a%20b%3Fc.db", Path("/abs/a b?c.db")),
        ("~/r.db", Path.home() / "r.db"),
    ],
)
def test_a_location_is_a_path_percent_encoded(location, expected):
    assert options.path_of(location) == expected


@pytest.mark.parametrize("location", ["", ":memory:", "a%00b"])
def test_a_location_that_keeps_nothing_is_refused(location):
    with pytest.raises(ConfigError):
        duckdb_sink.open_sink(location)


def test_a_location_never_names_a_service(tmp_path, monkeypatch, kit):
    monkeypatch.chdir(tmp_path)
    kit.fetch(duckdb_sink.open_sink("md:x"), {0: kit.batch("a")})
    assert (tmp_path / "md:x").is_file()


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_limit": "lots"},
        {"memory_limit": "1MB"},
        {"memory_limit": "80%"},
        {"checkpoint_threshold": "0"},
        {"threads": 0},
        {"unknown": 1},
    ],
)
def test_options_are_validated(wrong):
    with pytest.raises(ValidationError):
        options.DuckDBOptions().load(wrong)


def test_an_engine_is_as_strict(host):
    with pytest.raises(ConfigError, match="memory_limit: must be at least 100MB"):
        DuckDBEngine("r.db", memory_limit="1MB")
    for arguments in ({}, {"path": "r.db", "connection": host}):
        with pytest.raises(ConfigError, match="either"):
            DuckDBEngine(**arguments)


@pytest.mark.parametrize("limit", ["1GB", "777MiB", "12345678901B", None])
@pytest.mark.parametrize("fails", [False, True])
def test_a_hosts_connection_gets_its_settings_back(kit, host, limit, fails):
    if limit:
        host.execute(f"SET memory_limit = '{limit}'")
    host.execute("SET checkpoint_threshold = '17MB'; SET threads = 3")
    before = settings_of(host)
    engine = DuckDBEngine(connection=host, memory_limit="250MB", threads=1)
    if fails:
        host.execute("CREATE VIEW users AS SELECT 1")
        with pytest.raises(MixpanelFetchError):
            kit.fetch(engine, {0: kit.batch("a")})
    else:
        load = engine.begin("users", "create", kit.run_info(total_pages=1))
        assert settings_of(host) == ["238.4 MiB", "122.0 MiB", 1]
        load.write(0, kit.batch("a"))
        load.commit()
        engine.close()
        engine.close()
        assert host.execute("SELECT distinct_id FROM users").fetchall() == [("a",)]
    assert settings_of(host) == before


def test_a_host_keeps_its_own_limits_unless_it_gives_others(kit, host):
    before = settings_of(host)
    engine = DuckDBEngine(connection=host)
    engine.check("users", "create")
    now = settings_of(host)
    assert (now[0], now[2]) == (before[0], before[2])
    engine.close()


def test_a_setting_that_cannot_be_made_is_one_line_and_undone(host):
    before = settings_of(host)
    host.execute("SET lock_configuration = true")
    engine = DuckDBEngine(connection=host)
    with pytest.raises(ConfigError, match="cannot use the connection handed in"):
        engine.check("users", "create")
    assert settings_of(host) == before


def test_a_fetch_inside_a_hosts_transaction_does_not_end_it(kit, host):
    host.execute("CREATE TABLE mine (a INT)")
    host.execute("BEGIN")
    host.execute("INSERT INTO mine VALUES (1)")
    kit.fetch(DuckDBEngine(connection=host), {0: kit.batch("a", "a"), 1: kit.batch("a")})
    host.execute("ROLLBACK")
    assert host.execute("SELECT * FROM mine").fetchall() == []
    assert host.execute("SELECT distinct_id FROM users").fetchall() == [("a",)]


def test_a_host_in_another_thread(kit, host):
    results = []

    def work():
        results.append(kit.fetch(DuckDBEngine(connection=host), {0: kit.batch("a")}))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results[0].total_rows == 1


def test_an_aborted_run_leaves_a_hosts_database_as_it_was(kit, host):
    engine = DuckDBEngine(connection=host)
    load = engine.begin("users", "create", kit.run_info())
    load.write(0, kit.batch("a"))
    load.abort()
    engine.close()
    assert host.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_an_interrupt_from_another_thread_ends_a_running_statement(kit, path, monkeypatch):
    from mixpanel_fetch.defaults.duckdb_sink import staging

    endless = """INSERT INTO {staging} SELECT 'x', NULL, NULL, count(*) + $3
        FROM range(100000000000) WHERE len($1) + len($2) > 0"""
    engine = DuckDBEngine(path)
    engine.interrupt()
    load = engine.begin("users", "create", kit.run_info(total_pages=2))
    load.write(0, kit.batch("a"))
    with monkeypatch.context() as patch:
        patch.setattr(staging, "_INSERT", endless)
        stopper = threading.Timer(0.3, engine.interrupt)
        stopper.start()
        started = time.monotonic()
        with pytest.raises(FetchInterruptedError, match="cannot store page 1"):
            load.write(1, kit.batch("b"))
        assert time.monotonic() - started < 5
        stopper.join()
    load.suspend()
    engine.close()
    engine.interrupt()
    load = engine.begin("users", "create", engine.interrupted("users"))
    assert load.landed_pages() == {0}
    load.abort()
    engine.close()


def test_two_tables_may_land_side_by_side_in_one_host(kit, host):
    engines = [DuckDBEngine(connection=host) for _ in range(2)]
    before = settings_of(host)
    loads = [
        engine.begin(f"t{i}", "create", kit.run_info(run_id=f"r{i}", table=f"t{i}"))
        for i, engine in enumerate(engines)
    ]
    for load in loads:
        load.write(0, kit.batch("a"))
    for load in loads:
        load.commit()
    for engine in reversed(engines):
        engine.close()
    assert host.execute("SELECT count(*) FROM t0, t1").fetchone() == (1,)
    assert settings_of(host) == before


def test_an_interrupt_at_any_instant_of_a_publish_leaves_all_or_nothing(kit, path):
    many = kit.batch(*map(str, range(20_000)), value=2)
    kit.fetch(DuckDBEngine(path), {0: kit.batch(*map(str, range(10_000)))})
    for delay in (0, 0.002, 0.01, 0.03):
        engine = DuckDBEngine(path)
        run = kit.run_info("merge", run_id=f"r{delay}", total_pages=1, batch_size=20_000)
        load = engine.begin("users", "merge", run)
        load.write(0, many)
        before = engine.count("users")
        stopper = threading.Timer(delay, engine.interrupt)
        stopper.start()
        try:
            load.commit()
            published = True
        except FetchInterruptedError:
            load.suspend()
            published = False
        stopper.join()
        engine.close()
        assert engine.count("users") == (20_000 if published else before)
        assert (engine.interrupted("users") is None) == published
