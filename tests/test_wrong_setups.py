"""Ten wrong set-ups, as a person meets them: `mp fetch profiles` says what is wrong and what to do.

At most two lines of a terminal 80 columns wide, and the exit code that the README promises.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

COLUMNS = 80
MEBIBYTE = 1024 * 1024


class Said:
    """What a command said on stderr, and its exit code."""

    def __init__(self, done):
        self.code, self.text = done.returncode, done.stderr
        # A wait between two tries says the reason, too; what counts is what is said last.
        lines = [line for line in done.stderr.splitlines() if not line.startswith("mp: waiting")]
        here = str(Path.cwd())  # as long as pytest likes
        self.rows = sum(math.ceil(len(line.replace(here, "~")) / COLUMNS) for line in lines)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fetch(monkeypatch):
    """Run ``mp fetch profiles`` in a process of its own, and return what it said."""
    monkeypatch.setenv("MP_USERNAME", "demo")
    monkeypatch.setenv("MP_SECRET", "demo-secret")
    monkeypatch.setenv("MP_PROJECT_ID", "12345")

    def run(*arguments, before=None, **environ):
        done = subprocess.run(
            [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", *arguments],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=before,
        )
        said = Said(done)
        assert 0 < said.rows <= 2, said.text
        assert "Traceback" not in done.stdout + done.stderr
        assert "hunter2" not in done.stdout + done.stderr
        return said

    return run


@pytest.fixture
def project(engage_simulator, monkeypatch):
    """Serve a project, and point the environment at it."""

    def serve(**switches):
        simulator = engage_simulator(**switches)
        monkeypatch.setenv("MP_API_BASE_URL", simulator.base_url)
        return simulator

    return serve


# Region


@pytest.mark.parametrize("status", [400, 401])
def test_a_region_that_does_not_know_the_credentials(fetch, project, status):
    project(username="other", auth_failure_status=status)
    said = fetch()
    assert said.code == 2
    assert f"Mixpanel refused the credentials ({status}" in said.text
    assert "MP_REGION: `mp auth test` says which" in said.text


def test_a_region_that_has_no_profiles(fetch, project):
    project(wrong_region=True)
    said = fetch()
    assert said.code == 0
    assert "no profile came at all: check the region" in said.text


def test_a_region_that_is_none(fetch, project):
    simulator = project()
    said = fetch(MP_REGION="europe")
    assert said.code == 3
    assert "unknown region 'europe'; it is one of us, eu, in" in said.text
    assert simulator.stats.requests == ()


# Project


def test_a_project_of_others(fetch, project):
    project()
    said = fetch(MP_PROJECT_ID="54321")
    assert said.code == 2
    assert "the credentials are good, but not for this project (403" in said.text
    assert "check MP_PROJECT_ID, or have the account added" in said.text


def test_a_token_in_place_of_the_projects_number(fetch, project):
    simulator = project()
    said = fetch(MP_PROJECT_ID="3f9a6b0c8d3f9a6b0c8d3f9a6b0c8d00")
    assert said.code == 3
    assert "project_id must be a number, not a token" in said.text
    assert "Mixpanel's project settings show it" in said.text
    assert simulator.stats.requests == ()


# Secret


def test_a_secret_that_is_wrong(fetch, project):
    project()
    said = fetch(MP_SECRET="hunter2")
    assert said.code == 2
    assert "check MP_USERNAME, MP_SECRET" in said.text


def test_no_secret_at_all(fetch, project):
    project()
    said = fetch(MP_SECRET="")
    assert said.code == 3
    assert "no credentials: `mp auth add NAME` stores some, or set MP_USERNAME" in said.text


# Plan


def test_a_plan_without_the_query_api(fetch, project):
    project(payment_required=True)
    said = fetch()
    assert said.code == 2
    assert "the project's plan has no Query API (402" in said.text
    assert "upgrade the plan, or fetch from another project" in said.text


# Network


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9", "cannot connect to 127.0.0.1:9 (Connection refused); check the net"),
        ("http://nowhere.invalid", "cannot find the host nowhere.invalid; check the network"),
    ],
)
def test_a_network_that_is_down(fetch, address, words):
    said = fetch(MP_API_BASE_URL=address)
    assert said.code == 1
    assert words in said.text


# Proxy


@pytest.mark.parametrize(
    ("scheme", "proxy", "words"),
    [
        ("https", "http://u:hunter2@127.0.0.1:9", "the proxy 127.0.0.1:9 (Connection refused)"),
        ("http", "http://u:hunter2@nowhere.invalid:80", "the proxy nowhere.invalid:80 ("),
    ],
)
def test_a_proxy_that_is_out_of_reach(fetch, scheme, proxy, words):
    variable = f"{scheme.upper()}_PROXY"
    said = fetch(MP_API_BASE_URL=f"{scheme}://mixpanel.invalid", **{variable: proxy})
    assert said.code == 1
    assert f"cannot reach {words}" in said.text
    assert f"correct or unset {variable}" in said.text


class Refusing(BaseHTTPRequestHandler):
    """Lets nobody through."""

    def do_CONNECT(self):
        self.send_response(407, "Proxy Authentication Required")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.do_CONNECT()

    def log_message(self, *_):
        """Keep quiet."""


@contextmanager
def served(handler, certificate=None):
    """Serve on loopback, over TLS with a ``certificate``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password(fetch, scheme):
    with served(Refusing) as place:
        said = fetch(
            MP_API_BASE_URL=f"{scheme}://mixpanel.invalid",
            **{f"{scheme.upper()}_PROXY": f"http://{place}"},
        )
    assert said.code == 1
    assert "407" in said.text
    assert "_PROXY" in said.text
    assert "tried" not in said.text


# Clock


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (400, "is not valid yet by this machine's clock ("),
        (-400, "has expired by this machine's clock ("),
    ],
)
def test_a_clock_that_is_wrong(fetch, days, words):
    start = datetime.now(timezone.utc) + timedelta(days=days)
    authority = trustme.CA()
    authority.cert_pem.write_to_path("ca.pem")
    certificate = authority.issue_cert(
        "127.0.0.1", not_before=start, not_after=start + timedelta(days=30)
    )
    with served(Refusing, certificate) as place:
        said = fetch(MP_API_BASE_URL=f"https://{place}", REQUESTS_CA_BUNDLE="ca.pem")
    assert said.code == 1
    assert words in said.text
    assert "set the clock" in said.text


# Table


def test_a_table_that_is_there_already(fetch, project):
    simulator = project(profiles=10)
    assert subprocess.run(
        [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles"],
        capture_output=True,
        check=True,
        timeout=120,
    )
    simulator.reset_stats()
    said = fetch()
    assert said.code == 3
    assert "table profiles exists; use --append, --merge or --replace" in said.text
    assert simulator.stats.requests == ()


def test_a_table_that_is_missing(fetch, project):
    project(profiles=10)
    said = fetch("users", "--append")
    assert said.code == 3
    assert "table users does not exist; leave out --append, or use --merge" in said.text


# Plugin


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "duckbd:///x"], "no sink is called 'duckbd'; there are duckdb, jsonl, parquet"),
        (["--transform", "dorp:$email"], "no transform is called 'dorp'; there are drop,"),
        (["--strategy", "fast"], "no strategy is called 'fast'; there are gevent-pool,"),
        (["-o", "memory=1GB"], "no plugin of this run has an option 'memory'"),
        (["--plugin", "none.py"], "none.py"),
        (["--plugin", "bad.py", "--to", "bad://x"], "cannot load the plugin bad.py: ModuleNot"),
    ],
)
def test_a_plugin_that_is_unknown_or_broken(fetch, project, arguments, words):
    simulator = project()
    Path("bad.py").write_text("import a_library_that_is_not_there\n")
    said = fetch(*arguments)
    assert said.code == 3
    assert words in said.text
    assert simulator.stats.requests == ()


# Disk


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one mebibyte; only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mounted, capture_output=True, check=False)
    except OSError:
        done = None
    if done is None or done.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("sink", ["duckdb", "jsonl", "parquet"])
@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_is_full(fetch, project, sink):
    project(profiles=20_000)
    said = fetch("--parallel", "--no-progress", "--to", f"{sink}:///disk/file")
    assert said.code == 1
    assert "no space left on" in said.text.lower()
    assert "free some, then run it again" in said.text


@pytest.mark.parametrize("sink", ["duckdb", "jsonl", "parquet"])
def test_a_file_that_may_not_grow(fetch, project, sink):
    def little():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE // 20, MEBIBYTE // 20))

    project(profiles=3000)
    said = fetch("--parallel", "--no-progress", "--to", f"{sink}:///file", before=little)
    assert said.code == 1
    assert "File too large" in said.text
