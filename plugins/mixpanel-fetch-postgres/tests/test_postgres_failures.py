from __future__ import annotations

import pickle
import signal
import threading
import time

import psycopg
import pytest
from mixpanel_fetch_postgres import failures, open_sink
from mixpanel_fetch_postgres.engine import PostgresEngine
from psycopg import errors

from mixpanel_fetch.errors import ConfigError, FetchInterruptedError, StorageError


def terminate(place):
    place.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'mixpanel-fetch'"
    )


def test_a_lost_connection_is_one_line_and_the_run_goes_on_later(
    kit, place, engine, capfd, refused
):
    kit.fetch(engine, {0: kit.batch("old")})
    load = engine.begin("users", "append", kit.run_info("append"))
    load.write(0, kit.batch("a"))
    terminate(place)
    for _ in range(2):
        message = refused(load.write, 1, kit.batch("b"), kind=StorageError)
        assert message.startswith("cannot store page 1: the connection to the server was lost")
    assert "lost" in refused(load.commit, kind=StorageError)
    load.suspend()
    assert "cannot take back" in refused(load.abort, kind=StorageError)
    engine.close()
    assert capfd.readouterr() == ("", "")
    assert place.values() == {"old": "1"}
    load = engine.begin("users", "append", engine.interrupted("users"))
    assert load.landed_pages() == {0}
    load.write(1, kit.batch("b"))
    load.commit()
    assert place.values() == {"old": "1", "a": "1", "b": "1"}


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_what_was_written_outlives_the_server(kit, number, refused):
    server = kit.Server()
    try:
        place = kit.Place(server, "postgres")
        engine = PostgresEngine(place.location)
        load = engine.begin("users", "create", kit.run_info(total_pages=3))
        load.write(0, kit.batch("a"))
        load.write_pages([(2, kit.batch("c"))])
        server.stop(number)
        assert "connection" in refused(load.write, 1, kit.batch("b"), kind=StorageError)
        load.suspend()
        engine.close()
        server.start()
        load = engine.begin("users", "create", engine.interrupted("users"))
        assert load.landed_pages() == {0, 2}
        load.write(1, kit.batch("b"))
        load.commit()
        engine.close()
        assert set(place.values()) == {"a", "b", "c"}
    finally:
        server.remove()


@pytest.mark.parametrize("mode", ["merge", "create"])
def test_an_interrupt_ends_a_statement_within_a_second(kit, place, engine, mode):
    if mode == "merge":
        kit.fetch(engine, {0: kit.batch("old")})
        place.make(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION slow()",
        )
    load = engine.begin("users", mode, kit.run_info(mode, total_pages=1))
    engine.interrupt()  # about nothing
    load.write(0, kit.batch("a"))
    if mode == "create":
        load._staging.become = lambda target: load._db.execute("SELECT pg_sleep(30)")
    timer = threading.Timer(0.3, engine.interrupt)
    timer.start()
    started = time.monotonic()
    with pytest.raises(FetchInterruptedError):
        load.commit()
    assert time.monotonic() - started < 2
    timer.join()
    load.suspend()
    engine.close()
    assert [record.status for record in engine.runs()][:1] == ["suspended"]
    assert place.query("SELECT count(*) FROM pg_class WHERE relname = 'users'") == [
        (mode == "merge",)
    ]


def test_an_interrupt_between_two_statements_is_not_lost(kit, place, engine):
    load = engine.begin("users", "create", kit.run_info(total_pages=1))
    load.write(0, kit.batch("a"))
    become = load._staging.become

    def interrupted(target):
        engine.interrupt()
        become(target)

    load._staging.become = interrupted
    with pytest.raises(FetchInterruptedError):
        load.commit()
    del load._staging.become
    assert load.commit().total_rows == 1


def test_a_timeout_of_the_servers_is_no_interrupt(kit, place, refused):
    engine = open_sink(place.location, options="-c statement_timeout=100")
    load = engine.begin("users", "create", kit.run_info(total_pages=1))
    load.write(0, kit.batch("a"))
    load._staging.become = lambda target: load._db.execute("SELECT pg_sleep(30)")
    assert "statement_timeout" in refused(load.commit, kind=StorageError)
    load.abort()
    engine.close()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (errors.DiskFull("could not extend file"), StorageError, "no space left"),
        (errors.StatementTooComplex("stack depth"), StorageError, "max_stack_depth"),
        (psycopg.OperationalError("the connection is closed"), StorageError, "was lost: the conn"),
        (errors.AdminShutdown("terminating"), StorageError, "was lost: terminating"),
        (errors.UniqueViolation("duplicate\nDETAIL: Key (id)=(secret)"), StorageError, "duplicate"),
        (psycopg.InterfaceError(""), StorageError, "doing: InterfaceError"),
        (psycopg.DatabaseError("x" * 999), StorageError, "xxx..."),
    ],
)
def test_every_error_of_psycopg_becomes_one_of_ours_in_one_line(error, kind, message):
    explained = failures.explained(error, "doing")
    assert type(explained) is kind
    assert message in str(explained)
    assert str(explained).isprintable()
    assert "secret" not in str(explained)
    assert len(str(explained)) < 330
    assert type(failures.explained(error, "doing", opening=True)) is ConfigError
    assert pickle.loads(pickle.dumps(explained)).args == explained.args
