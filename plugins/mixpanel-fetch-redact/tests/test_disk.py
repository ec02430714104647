"""Real fetches, into real files: nothing that was redacted is on the disk, at any time.

The same search finds the same values where no transform is named, so it can fail.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import duckdb
import pytest

from mixpanel_fetch import MixpanelAPIClient
from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.services import FetcherService
from mixpanel_fetch.simulator import EngageSimulator, RawProfile

MARK = "qZ7xLEAK"
TRANSFORMS = (
    "hash:distinct_id,$name,$email",
    "mask:$phone,address.street",
    "drop-pii",
)
OPTIONS = {"also": r"devices[].ip,we\.ird"}
KEEP_ONLY = ("hash:distinct_id", "keep-only:plan,devices[].model")
SINKS = {
    "duckdb": "duckdb:///{}/out.duckdb",
    "parquet": "parquet:///{}/out.parquet?compression=uncompressed",
    "jsonl": "jsonl:///{}/out.jsonl",
}


def profile(number: int) -> RawProfile:
    leak = f"{MARK}-{number}"
    escaped = "".join(f"\\u{ord(one):04x}" for one in leak)
    return RawProfile(
        f'{{"$distinct_id":"{leak}-id","$properties":{{'
        f'"$email":"{leak}@{MARK}.example","$email":"{escaped}@example.com","$EMAIL":"{leak}",'
        f'"\\u0024name":"{escaped}","$phone":["{leak}"],"$city":"{leak}","$avatar":{{"{leak}":1}},'
        f'"address":{{"street":"{leak}","street":"x{escaped}"}},"we.ird":"{leak}\\u0000",'
        f'"devices":[{{"ip":"{leak}","model":"m{number}"}},"{leak}",["{leak}"]],'
        f'"$distinct_id":"{leak}-id","big":1234567890123456789012,"plan":"visible-{number}"}}}}'.encode()
    )


@pytest.fixture(scope="module")
def simulator() -> Iterator[EngageSimulator]:
    with EngageSimulator(profiles=[profile(n) for n in range(120)], page_size=10) as running:
        yield running


@pytest.fixture
def service(simulator, host):
    """A service with every plugin, on the simulator."""

    def make(destination: str) -> FetcherService:
        client = MixpanelAPIClient(
            username="demo",
            secret="demo-secret",
            project_id=12345,
            base_url=simulator.base_url,
            max_retries=0,
        )
        return FetcherService(client, destination, assembler=Assembler(host))

    return make


def files_with(folder: Path, words: str) -> set[str]:
    """Return the files in ``folder``, hidden ones and databases' own included, that hold it."""
    needles = [words.encode(), words.encode("utf-16-le"), words.encode().hex().encode()]
    found = set()
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # a file that is not there any more
                continue
            if any(needle in content for needle in needles):
                found.add(str(path.relative_to(folder)))
    return found


def tables_with(folder: Path, words: str) -> set[str]:
    """Return the tables and files in ``folder`` that hold it once they are read: their own files
    may be compressed.
    """
    found = set()
    for path in folder.rglob("*.parquet"):
        text = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
        found |= {path.name} if words in str(text) else set()
    for path in folder.glob("*.duckdb"):
        for database in (path, path.with_name(f"{path.name}.wal")):
            if database.exists():
                shutil.copy(database, folder.parent / database.name)
        with duckdb.connect(str(folder.parent / path.name)) as connection:
            for schema, table in connection.sql(
                "SELECT schema_name, table_name FROM duckdb_tables()"
            ).fetchall():
                rows = connection.sql(f'SELECT * FROM "{schema}"."{table}"').fetchall()
                found |= {table} if words in str(rows) else set()
    return found


def leaks(folder: Path, words: str = MARK) -> set[str]:
    return files_with(folder, words) | tables_with(folder, words)


class Watcher:
    """Searches the folder each time that a page has landed."""

    def __init__(self, folder: Path, words: str) -> None:
        self.folder, self.words = folder, words
        self.found: set[str] = set()
        self.pages = 0

    def __call__(self, progress) -> None:
        self.pages += 1
        self.found |= files_with(self.folder, self.words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "stored"
    made.mkdir()
    return made


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize(
    "chain",
    [{"transforms": TRANSFORMS, "options": OPTIONS}, {"transforms": KEEP_ONLY}],
    ids=["redact", "keep-only"],
)
def test_a_whole_fetch_leaves_nothing(service, folder, key, sink, chain) -> None:
    watcher = Watcher(folder, MARK)
    result = service(SINKS[sink].format(folder)).fetch_profiles(
        "people", on_batch_complete=watcher, **chain
    )
    assert (result.total_rows, watcher.pages, result.exit_code) == (120, 12, 0)
    assert watcher.found | leaks(folder) == set()
    assert leaks(folder, key) == set()
    assert leaks(folder, "visible-7") != set()


@pytest.mark.parametrize("sink", SINKS)
def test_without_a_transform_the_search_finds_them(service, folder, sink) -> None:
    watcher = Watcher(folder, MARK)
    service(SINKS[sink].format(folder)).fetch_profiles("people", on_batch_complete=watcher)
    assert files_with(folder, MARK) | watcher.found
    assert leaks(folder)


@pytest.mark.parametrize("parallel", [False, True])
def test_what_is_staged_and_what_comes_of_it_hold_nothing(service, folder, parallel) -> None:
    destination = SINKS["duckdb"].format(folder)
    cancel = Event()
    watcher = Watcher(folder, MARK)

    def stop(progress) -> None:
        watcher(progress)
        if watcher.pages == 4:
            cancel.set()

    settings = {"transforms": TRANSFORMS, "options": OPTIONS, "parallel": parallel}
    first = service(destination).fetch_profiles(
        "people", on_batch_complete=stop, cancel=cancel, **settings
    )
    assert first.interrupted
    staged = leaks(folder, "visible-")
    assert watcher.found | leaks(folder) == set()
    assert staged, "pages are staged, and would have been found"
    second = service(destination).fetch_profiles(
        "people", resume=True, on_batch_complete=watcher, **settings
    )
    assert (second.run_id, second.exit_code) == (first.run_id, 0)
    assert watcher.found | leaks(folder) == set()


# Dies by its own hand once the fourth page has landed, and leaves everything as it is then.
PROGRAM = """
    import json, os, signal, sys
    import mixpanel_fetch_redact
    from mixpanel_fetch import MixpanelAPIClient
    from mixpanel_fetch.assembly import Assembler
    from mixpanel_fetch.plugins import PluginHost, Provider
    from mixpanel_fetch.services import FetcherService

    base_url, destination, transforms, options = sys.argv[1:]
    host = PluginHost()
    if "hash" not in {one.spec.name for one in host.all()}:
        host.register(mixpanel_fetch_redact, Provider("redact", "mixpanel-fetch-redact"))
    client = MixpanelAPIClient(
        username="demo", secret="demo-secret", project_id=12345, base_url=base_url
    )

    def die(progress):
        if progress.page_index == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    FetcherService(client, destination, assembler=Assembler(host)).fetch_profiles(
        "people",
        transforms=json.loads(transforms),
        options=json.loads(options),
        on_batch_complete=die,
    )
"""


def kill_in_the_middle(simulator, destination, folder, transforms, options) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), simulator.base_url, destination,
         json.dumps(transforms), json.dumps(options)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("sink", SINKS)
def test_a_killed_run_leaves_nothing(simulator, folder, key, sink) -> None:
    destination = SINKS[sink].format(folder)
    said = kill_in_the_middle(simulator, destination, folder, TRANSFORMS, OPTIONS)
    assert leaks(folder) == leaks(folder, key) == set()
    assert MARK not in said
    assert key not in said
    # A Parquet file's rows wait in memory.
    assert bool(leaks(folder, "visible-")) is (sink != "parquet")


@pytest.mark.parametrize("sink", ["duckdb", "jsonl"])
def test_a_killed_run_without_a_transform_leaves_them(simulator, folder, sink) -> None:
    kill_in_the_middle(simulator, SINKS[sink].format(folder), folder, [], {})
    assert files_with(folder, MARK)


def test_a_page_that_fails_says_nothing_of_its_rows(service, folder) -> None:
    """A transform before ours may write what no reader takes."""

    def spoil(batch):
        return type(batch)(
            batch.distinct_ids, [text[:-1] for text in batch.properties], batch.last_seen
        )

    with pytest.raises(Exception, match="cannot be read as JSON") as caught:
        service(SINKS["duckdb"].format(folder)).fetch_profiles(
            "people", transforms=[spoil, *TRANSFORMS], options=OPTIONS
        )
    assert MARK not in str(caught.value)
    assert leaks(folder) == set()
