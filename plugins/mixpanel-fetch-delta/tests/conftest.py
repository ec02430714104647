"""Lakes for the tests, in folders and in an emulator of S3 on loopback; and what tests share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError as NoDeltaTable
from mixpanel_fetch_delta.engine import DeltaEngine
from mixpanel_fetch_delta.rows import Rows, as_table

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.model import LoadReport, Mode, RunInfo
from mixpanel_fetch.testing import land, make_run, refusal

SEEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
SECRET = "h!dden/w0rd"
_numbers = count()


class Place:
    """A lake for one test: how the sink reaches it, and how the test looks into it."""

    def __init__(
        self, location: str, url: str, storage: Mapping[str, str] | None = None, query: str = ""
    ) -> None:
        self.location, self.url, self.storage = location, url, storage
        self.uri = f"delta:///{location}{query}"
        if "://" in location:
            self.uri = f"delta://{location}{query}"

    @property
    def options(self) -> dict[str, str]:
        return dict(self.storage or {})

    def engine(self, **options: Any) -> DeltaEngine:
        return DeltaEngine(self.location, **{**self.options, **options})

    def table(self, name: str = "users") -> DeltaTable | None:
        storage = None
        if self.storage is not None:
            storage = {f"aws_{key}": value for key, value in self.storage.items()}
        elif not Path(self.url, name).is_dir():
            return None
        try:
            return DeltaTable(f"{self.url}/{name}", storage_options=storage)
        except NoDeltaTable:
            return None

    def rows(self, name: str = "users") -> list[dict[str, Any]] | None:
        """Return the rows as deltalake reads them."""
        table = self.table(name)
        if table is None:
            return None
        names = ("distinct_id", "properties", "last_seen")
        with duckdb.connect() as connection:
            connection.register("found", table.scan().read_all())
            read = "SELECT distinct_id, properties, epoch_us(last_seen) FROM found"
            found = connection.execute(read).fetchall()
        return [dict(zip(names, row, strict=True)) for row in found]

    def values(self, name: str = "users") -> dict[str, Any] | None:
        rows = self.rows(name)
        if rows is None:
            return None
        values = {row["distinct_id"]: json.loads(row["properties"])["v"] for row in rows}
        assert len(values) == len(rows)
        return values


def run_info(mode: Mode = "create", **changes: Any) -> RunInfo:
    return make_run(mode, **{"table": "users", "total_pages": 2, **changes})


def batch(*ids: str, value: Any = 1) -> Batch:
    return Batch.from_rows(
        {"distinct_id": i, "properties": {"v": value}, "last_seen": SEEN} for i in ids
    )


def fetch(
    engine: DeltaEngine,
    pages: Mapping[int, Batch],
    mode: Mode = "create",
    table: str = "users",
    **changes: Any,
) -> LoadReport:
    """One run from check to close."""
    given = {"table": table, "total_pages": len(pages), **changes}
    report = land(engine, pages, run_info(mode, **given))
    assert report is not None
    return report


def theirs(place: Place, identity: str) -> None:
    """Append a row, as another writer does that knows nothing of this sink."""
    storage = {f"aws_{key}": value for key, value in (place.storage or {}).items()}
    rows = Rows.of(0, Batch([identity], [b'{"v":"theirs"}'], [SEEN]))
    write_deltalake(
        f"{place.url}/users", as_table([rows]), mode="append", storage_options=storage or None
    )


class Store:
    """``moto``'s emulator of S3, in a process of its own on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                self.call("PUT", "/lake")
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def call(self, method: str, path: str) -> None:
        request = urllib.request.Request(self.endpoint + path, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(timeout=30)

    @property
    def storage(self) -> dict[str, str]:
        return {
            "endpoint_url": self.endpoint,
            "region": "us-east-1",
            "access_key_id": "tester",
            "secret_access_key": SECRET,
            "allow_http": "true",
        }


@pytest.fixture(scope="session")
def kit() -> Any:
    """This module: tests cannot import their neighbours in pytest's importlib mode."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    return Place(f"{tmp_path}/lake", f"{tmp_path}/lake")


@pytest.fixture
def bucket(store: Store) -> Place:
    url = f"s3://lake/{os.getpid()}-{next(_numbers)}"
    query = f"?endpoint_url={store.endpoint}&region=us-east-1&allow_http=true"
    return Place(url, url, store.storage, query)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    """Either kind of lake."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def refused() -> Any:
    """Make a call that must raise an error of ours, in one line and without a secret."""
    return partial(refusal, secrets=(SECRET,))


@pytest.fixture(autouse=True)
def no_bucket(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
