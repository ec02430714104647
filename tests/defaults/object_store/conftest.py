"""An S3 emulator on loopback, a bucket for each test, and a proxy that misbehaves on demand."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import duckdb
import obstore
import pytest
from obstore.store import S3Store

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.model import LoadReport, Mode, ProfileQuery, RunInfo

ACCESS_KEY, SECRET_KEY = "AKIDENVIRONMENT", "sEcReT/of+the/environment"
DAY = datetime(2026, 11, 24, 23, 59, tzinfo=timezone.utc)
KEY = "lake/users/load_date=2026-11-24/part-0.parquet"


class Emulator:
    """moto's server in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str) -> str:
        request = urllib.request.Request(f"{self.url}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())


class Lake:
    """A bucket of the emulator, and what is in it."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self._emulator, self._folder = emulator, folder
        self.bucket = f"b{uuid4().hex}"
        self.location = f"s3://{self.bucket}/lake/{{table}}"
        self.temporary = folder / "temporary"
        emulator.ask("PUT", self.bucket)
        options: Any = {"client_options": {"allow_http": True}, "endpoint": emulator.url}
        self._store = S3Store(
            self.bucket, access_key_id="a", secret_access_key="b", region="us-east-1", **options
        )

    def listed(self) -> list[str]:
        return sorted(one["path"] for chunk in obstore.list(self._store) for one in chunk)

    def uploads(self) -> list[str]:
        """Multipart uploads that were begun and neither completed nor taken back."""
        text = self._emulator.ask("GET", f"{self.bucket}?uploads")
        return re.findall("<Key>(.*?)</Key>", text)

    def get(self, key: str = KEY) -> bytes:
        return obstore.get(self._store, key).bytes().to_bytes()

    def put(self, key: str, body: bytes) -> None:
        obstore.put(self._store, key, body)

    def download(self) -> Path:
        """Every object, in a folder."""
        for key in self.listed():
            path = self._folder / "copy" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(key))
        return self._folder / "copy"

    def ids(self, key: str = KEY) -> list[str]:
        """The ids in a Parquet file, in its order."""
        path = self._folder / f"{uuid4().hex}.parquet"
        path.write_bytes(self.get(key))
        with duckdb.connect() as connection:
            found = connection.execute("SELECT distinct_id FROM read_parquet($1)", [str(path)])
            return [row[0] for row in found.fetchall()]

    def store(
        self, *batches: Batch, mode: Mode = "create", started_at: datetime = DAY, **options: Any
    ) -> LoadReport:
        """One run, from begin to close."""
        engine = ParquetEngine(options.pop("location", self.location), **options)
        try:
            load = engine.begin("users", mode, run_info(mode, started_at))
            for index, one in enumerate(batches):
                load.write(index, one)
            return load.commit()
        finally:
            engine.close()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline().decode()
            assert line, "the emulator ended"
            found = re.search(r"Running on (http://\S+)", line)
        # What it says of each request must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield Emulator(found[1])
        finally:
            process.kill()


@pytest.fixture
def lake(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    """A new bucket; the environment leads to it, and no configuration of the machine's counts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    lake = Lake(emulator, tmp_path)
    lake.temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(lake.temporary))
    environment = {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(lake.temporary),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lake


class Request:
    """One request, as the proxy sees it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method, self.path = handler.command, handler.path
        self.authorization = handler.headers.get("Authorization", "")
        part = re.search(r"partNumber=(\d+)", handler.path)
        self.part = int(part[1]) if part else None


Rule = Callable[[Request], "tuple[int, bytes] | None"]


class Proxy:
    """Hands each request on, unless its ``rule`` answers; ``Drop`` ends the connection."""

    class Drop(Exception):  # noqa: N818 - it is no error
        """Raised by a rule."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self.rule: Rule = lambda request: None
        self.seen: list[Request] = []
        self.part_came = threading.Event()
        self.let_go = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._handle(self)

            do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Whoever was killed, or waits no longer, does not read the answer."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def hold_parts(self, request: Request) -> None:
        """As a rule: keep every part waiting until ``let_go`` is set."""
        if request.part is not None:
            self.part_came.set()
            self.let_go.wait(120)

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler)
        self.seen.append(request)
        try:
            own = self.rule(request)
        except Proxy.Drop:
            handler.close_connection = True
            return
        if own is not None:
            self._answer(handler, own[0], {}, own[1])
            return
        with closing(http.client.HTTPConnection(self._target, timeout=60)) as onward:
            headers = {k: v for k, v in handler.headers.items() if k.lower() != "connection"}
            onward.request(request.method, request.path, body, headers)
            answer = onward.getresponse()
            content = answer.read()
        hops = {"connection", "transfer-encoding", "content-length"}
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in hops}
        if request.method == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length", "0")
        self._answer(handler, answer.status, kept, content)

    @staticmethod
    def _answer(
        handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)


@pytest.fixture
def proxy(
    emulator: Emulator,
    lake: Lake,  # whose environment comes first
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Proxy]:
    """A proxy before the emulator, to which the environment leads."""
    proxy = Proxy(emulator.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.let_go.set()
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()


def run_info(mode: Mode = "create", started_at: datetime = DAY, **changes: Any) -> RunInfo:
    fields: dict[str, Any] = {
        "run_id": uuid4().hex,
        "table": "users",
        "mode": mode,
        "query": ProfileQuery(),
        "session_id": "s",
        "total": 3,
        "page_size": 1000,
        "total_pages": 1,
        "transforms": (),
        "fingerprint": {},
        "started_at": started_at,
        "destination": "parquet://s3://…",
    }
    return RunInfo(**{**fields, **changes})


def batch_of(*ids: str, wide: int = 0) -> Batch:
    """One row an id, each with ``wide`` bytes that nothing compresses."""
    texts = [b'{"noise":"%s"}' % os.urandom(wide // 2).hex().encode() for _ in ids]
    return Batch(list(ids), texts, [DAY] * len(ids))


LARGE = [str(n) for n in range(3000)]


def large() -> Batch:
    """30 MB of LARGE: uncompressed, four parts."""
    return batch_of(*LARGE, wide=10_000)


@pytest.fixture(scope="session")
def kit() -> Any:
    """This module: tests cannot import their neighbours in pytest's importlib mode."""
    return sys.modules[__name__]
