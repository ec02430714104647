from __future__ import annotations

import logging
import socket
import time

import pytest
from mixpanel_fetch_postgres import open_sink, register_sinks
from mixpanel_fetch_postgres.engine import PostgresEngine
from mixpanel_fetch_postgres.options import PostgresOptions

from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.plugins import PluginHost

SECRET = "h!dden-w0rd"


def test_both_names_are_registered_with_every_capability():
    specs = {spec.name: spec for spec in register_sinks()}
    assert set(specs) == {"postgresql", "postgres"}
    for spec in specs.values():
        assert spec.capabilities == {
            *("append", "replace", "merge", "keyed", "resume", "query", "sync", "columns"),
            "concurrent",
        }
        assert (spec.factory, spec.options) == (open_sink, PostgresOptions)


def test_it_is_found_by_its_entry_point():
    registered = PluginHost().sink("postgresql")
    assert registered.provider.distribution == "mixpanel-fetch-postgres"


def test_the_factory_opens_nothing():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        engine = open_sink(f"u:p@127.0.0.1:{listener.getsockname()[1]}/db")
        engine.close()
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("h:port:port/db", {}, "percent-encode what is special"),
        ("u:%zz@h/db", {}, "percent-encode what is special"),
        (f"u:{SECRET}@[::1/db", {}, "percent-encode what is special"),
        (f"u:{SECRET}/@h/db", {}, "percent-encode what is special"),
        (f"u:1/{SECRET}@h/db", {}, "percent-encode what is special"),
        (f"u:x@{SECRET}@h/db", {}, "percent-encode what is special"),
        ("u@h", {}, "no database is named"),
        ("", {}, "no database is named"),
        ("h/db", {"sslmod": "require"}, "no option 'sslmod'"),
        ("h/db", {"schema": " "}, "the option schema is empty"),
        ("h/db", {"host": "lone\ud800"}, "percent-encode"),
    ],
)
def test_what_is_no_connection_is_refused_when_it_is_named(location, options, message, refused):
    assert message in refused(lambda: open_sink(location, **options))


def test_a_database_may_come_from_elsewhere(monkeypatch):
    assert open_sink("h", dbname="x").label == "postgresql://h/x"
    monkeypatch.setenv("PGDATABASE", "x")
    assert open_sink("u:p@h:1").label == "postgresql://h:1/"
    assert open_sink("/local", host="/tmp").label == "postgresql:///tmp/local"


def test_no_secret_is_shown(kit, place, caplog):
    caplog.set_level(logging.DEBUG)
    engine = open_sink(place.location, sslpassword=SECRET)
    kit.fetch(engine, {0: kit.batch("a")})
    shown = [repr(engine), str(vars(engine)), engine.label, caplog.text]
    shown += [repr(engine._target), str(engine.runs())]
    shown += [
        str(place.query(f"SELECT * FROM mixpanel_fetch.{name}")) for name in ("runs", "pages")
    ]
    shown += [str(place.query("SELECT query, application_name FROM pg_stat_activity"))]
    for text in shown:
        assert "pa55" not in text
        assert SECRET not in text


def test_nobody_listens(server, refused):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        engine = open_sink(f"tester:{SECRET}@127.0.0.1:{port}/db")
        for call in (lambda: engine.check("users", "create"), engine.runs):
            message = refused(call)
            assert message.startswith(f"cannot connect to postgresql://127.0.0.1:{port}/db: ")
            assert "refused" in message


def test_somebody_listens_who_does_not_answer(refused):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        location = f"u:{SECRET}@127.0.0.1:{listener.getsockname()[1]}/db"
        engine = open_sink(location, connect_timeout="2")
        started = time.monotonic()
        assert "timeout" in refused(engine.check, "users", "create")
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (f"tester:{SECRET}@127.0.0.1:{{port}}/postgres", "password authentication failed"),
        (f"nobody:{SECRET}@127.0.0.1:{{port}}/postgres", "password authentication failed"),
        ("tester:pa55%20w0rd@127.0.0.1:{port}/nowhere", 'database "nowhere" does not exist'),
    ],
)
def test_a_server_that_refuses(server, location, message, refused):
    engine = open_sink(location.format(port=server.port))
    assert message in refused(engine.check, "users", "create")


@pytest.mark.parametrize(
    ("options", "message"),
    [("-c default_transaction_read_only=on", "is read-only; connect to the primary")],
)
def test_a_database_that_takes_no_rows(place, options, message, refused):
    assert message in refused(open_sink(place.location, options=options).check, "users", "create")


def test_a_database_in_another_encoding(server, place, refused):
    place.make("DROP DATABASE IF EXISTS latin", "CREATE DATABASE latin ENCODING 'LATIN1'"
               " LOCALE 'C' TEMPLATE template0")  # fmt: skip
    engine = open_sink(place.location.replace("/postgres", "/latin"))
    assert "is encoded in LATIN1" in refused(engine.check, "users", "create")


@pytest.fixture
def weak(server, place):
    """A user with few rights, and the location for it."""
    place.make(
        "DROP ROLE IF EXISTS weak",
        "CREATE ROLE weak LOGIN PASSWORD 'pa55weak'",
        "GRANT USAGE ON SCHEMA public TO weak",
    )
    yield f"weak:pa55weak@127.0.0.1:{server.port}/postgres"
    place.make("DROP OWNED BY weak CASCADE", "DROP ROLE weak")


def test_rights_that_lack_are_named_one_after_the_other(kit, place, weak, refused):
    place.make(
        "CREATE TABLE users (distinct_id text PRIMARY KEY, properties jsonb, last_seen timestamptz)"
    )
    engine = PostgresEngine(weak)
    for grant, words in (
        ("GRANT CREATE ON SCHEMA public TO weak", "GRANT CREATE ON SCHEMA public TO weak"),
        (
            "CREATE SCHEMA mixpanel_fetch AUTHORIZATION weak",
            "run CREATE SCHEMA mixpanel_fetch AUTHORIZATION weak",
        ),
        (
            "GRANT SELECT ON users TO weak",
            "lacks the right to SELECT, INSERT, UPDATE, DELETE on table public.users",
        ),
        (
            "GRANT INSERT, UPDATE, DELETE ON users TO weak",
            "lacks the right to INSERT, UPDATE, DELETE on table public.users",
        ),
    ):
        assert words in refused(engine.check, "users", "replace")
        place.make(grant)
        engine.close()
    kit.fetch(engine, {0: kit.batch("a")}, "replace")
    assert place.values() == {"a": "1"}


def test_a_ledger_of_somebody_else_is_one_line(kit, place, weak, refused):
    kit.fetch(PostgresEngine(place.location), {0: kit.batch("a")})
    place.make(
        "GRANT CREATE ON SCHEMA public TO weak",
        "GRANT CREATE, USAGE ON SCHEMA mixpanel_fetch TO weak",
    )
    engine = PostgresEngine(weak)
    message = refused(engine.check, "others", "create")
    engine.close()
    assert "lacks the right to SELECT, INSERT, UPDATE, DELETE on table mixpanel_fetch" in message


def test_tables_in_our_schema_that_are_not_ours_are_one_line(kit, place, engine, refused):
    place.make(
        "CREATE SCHEMA mixpanel_fetch",
        "CREATE TABLE mixpanel_fetch.runs (a int)",
        "CREATE TABLE mixpanel_fetch.pages (a int)",
    )
    assert "cannot read the database" in refused(engine.runs, kind=StorageError)
    refused(engine.begin, "users", "create", kit.run_info(), kind=StorageError)
