"""A PostgreSQL of the tests' own, empty for each test; and what tests share: fixture ``kit``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mixpanel_fetch_postgres.engine import PostgresEngine

from mixpanel_fetch import MixpanelAPIClient, ParallelProfileFetchResult
from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.model import LoadReport, Mode, ProfileQuery, RunInfo
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.sync import SyncOrder, SyncWish
from mixpanel_fetch.testing import land, make_run, refusal
from mixpanel_fetch.tolerance import Tolerance

SEEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
PASSWORD = "pa55 w0rd"
SECRET = "h!dden-w0rd"  # of connections that are never made
_MISSING = (
    "the tests of the postgresql sink start a PostgreSQL of their own and found none; install it"
    " (Debian: apt-get install postgresql), or set MP_TEST_SKIP_POSTGRES=1 to leave them out"
)


def programs() -> Path | None:
    """Where initdb and postgres are; the newest version, if there are several."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    for folder in [*reversed(debian), *folders]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return (folder / "initdb").resolve().parent
    return None


def _unprivileged() -> Any:
    """The user that PostgreSQL may run as where the tests run as root."""
    import pwd

    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class Server:
    """A server in a folder of its own, on a free port of 127.0.0.1, as an unprivileged user."""

    def __init__(self, *settings: str) -> None:
        found = programs()
        assert found is not None
        self._programs, self._settings = found, settings
        self._folder = Path(tempfile.mkdtemp(prefix="mixpanel-fetch-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            user = _unprivileged()
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        try:
            self._make()
            self.start()
        except BaseException:
            self.remove()
            raise

    def _make(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o444)
        self._run("initdb", "-D", "data", "-U", "tester", "-A", "scram-sha-256", "-E", "UTF8",
                  "--no-sync", "--locale=C", f"--pwfile={secret}")  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        settings = ["listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}",
                    "max_connections=50", *self._settings]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", "data", "-p", str(self.port)]
                + [word for setting in settings for word in ("-c", setting)],
                cwd=self._folder, stdout=log, stderr=log, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.connect("postgres").close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self._folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server; SIGQUIT as a crash would."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(timeout=30)

    def remove(self) -> None:
        """Stop the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)  # nothing of it is needed any more
        shutil.rmtree(self._folder)

    def connect(self, database: str, **changes: Any) -> psycopg.Connection[Any]:
        """Connect beside the sink."""
        given = {"user": "tester", "password": PASSWORD, "connect_timeout": 5, **changes}
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, autocommit=True, **given
        )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments], cwd=self._folder, check=True,
            capture_output=True, **self._user,
        )  # fmt: skip


class Place:
    """A database for one test: how the sink reaches it, and how the test looks into it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.location = f"tester:pa55%20w0rd@127.0.0.1:{server.port}/{name}"
        self.uri = f"postgresql://{self.location}"

    def connect(self, **changes: Any) -> psycopg.Connection[Any]:
        return self.server.connect(self.name, **changes)

    def query(self, statement: str, *parameters: Any) -> list[Any]:
        with self.connect() as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def make(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def wipe(self) -> None:
        """End what others have open, and drop everything: quicker than a database a test."""
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        schemas = self.query(
            "SELECT quote_ident(nspname) FROM pg_namespace"
            " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        )
        self.make(
            *(f"DROP SCHEMA {schema} CASCADE" for (schema,) in schemas),
            "CREATE SCHEMA public",
        )

    def values(self, table: str = "users") -> dict[str, str]:
        rows = self.query(f"SELECT distinct_id, properties->>'v' FROM {table}")
        assert len(rows) == len(dict(rows))
        return dict(rows)

    def staged(self) -> list[str]:
        names = self.query("SELECT relname FROM pg_class WHERE relkind = 'r'")
        return [name for (name,) in names if name.startswith("_mixpanel_fetch_staging_")]


def run_info(mode: Mode = "create", **changes: Any) -> RunInfo:
    given = {"run_id": "run-1", "table": "users", "total_pages": 2, "started_at": SEEN, **changes}
    return make_run(mode, **given)


def sync_info(number: int = 0, **changes: Any) -> RunInfo:
    """The ``number``-th run that keeps the table in step; ``changes`` to its order, or to it."""
    orders = {one.name for one in fields(SyncOrder)}
    order = {"kind": "full", **{name: changes.pop(name) for name in orders & {*changes}}}
    sync = SyncOrder("key", **order)  # type: ignore[arg-type]
    given = {
        "run_id": f"run-{number}",
        "fingerprint": {"sync": sync.text()},
        "started_at": SEEN + timedelta(days=number),
        "total_pages": 1,
    }
    return run_info("merge", **{**given, **changes})


def people(count: int, **properties: Any) -> list[dict[str, Any]]:
    """Profiles of a simulator, last seen on the first of January."""
    seen = {"$last_seen": "2026-01-01T00:00:00"}
    return [
        {"$distinct_id": f"id{number}", "$properties": {"n": number} | seen | properties}
        for number in range(count)
    ]


def changes(result: Any) -> tuple[int | None, ...]:
    """What a run that keeps a table in step did to it, in rows."""
    return result.inserted, result.updated, result.unchanged, result.gone


@contextmanager
def watched(engine: PostgresEngine) -> Iterator[list[str]]:
    """Note each statement of an engine that has begun."""
    assert engine._db is not None
    connection, seen = engine._db.connection, []
    execute = connection.execute

    def noted(statement: bytes, *arguments: Any) -> Any:
        seen.append(statement.decode())
        return execute(statement, *arguments)

    connection.execute = noted  # type: ignore[assignment, method-assign]
    yield seen


def eventually(question: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return answer


def batch(*ids: str, value: Any = 1) -> Batch:
    return Batch.from_rows(
        {"distinct_id": i, "properties": {"v": value}, "last_seen": SEEN} for i in ids
    )


def fetch(
    engine: PostgresEngine,
    pages: Mapping[int, Batch],
    mode: Mode = "create",
    table: str = "users",
    **changes: Any,
) -> LoadReport:
    """One run from check to close."""
    given = {"run_id": f"run-{mode}", "table": table, "total_pages": len(pages), **changes}
    report = land(engine, pages, run_info(mode, **given))
    assert report is not None
    return report


@pytest.fixture(scope="session")
def kit() -> Any:
    """This module: tests cannot import their neighbours in pytest's importlib mode."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    if os.environ.get("MP_TEST_SKIP_POSTGRES") == "1":
        pytest.skip("MP_TEST_SKIP_POSTGRES=1")
    if programs() is None:
        pytest.fail(_MISSING, pytrace=False)
    # Nothing here outlives its server, so nothing has to reach the disk.
    server = Server("fsync=off", "autovacuum=off")
    yield server
    server.remove()


@pytest.fixture
def place(server: Server) -> Place:
    place = Place(server, "postgres")
    place.wipe()
    return place


@pytest.fixture
def engine(place: Place) -> Iterator[PostgresEngine]:
    engine = PostgresEngine(place.location)
    yield engine
    engine.close()


@pytest.fixture
def sync(place: Place) -> Any:
    """Keep a table in step with a simulator, as ``mp`` does."""

    def run(simulator, *, where=None, tolerance=None, resume=False, table="users", into="", **wish):
        client = MixpanelAPIClient(
            username="demo", secret="demo-secret", project_id=12345, base_url=simulator.base_url
        )
        request = FetchRequest(
            table,
            ProfileQuery(where),
            mode="merge",
            parallel=True,
            sync=SyncWish(**wish),
            tolerance=tolerance or Tolerance(),
            resume=resume,
        )
        return run_plan(
            client, Assembler().plan(request, into or place.uri), ParallelProfileFetchResult
        )

    return run


@pytest.fixture
def refused() -> Any:
    """Make a call that must raise an error of ours, in one line and without a secret."""
    return partial(refusal, secrets=("pa55", SECRET))


@pytest.fixture(autouse=True)
def no_database(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the databases of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)
