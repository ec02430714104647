"""Nothing that a run leaves shows a secret: no output, no file, no log, no exception."""

from __future__ import annotations

import base64
import itertools
import logging
import os
import secrets
import signal
import stat
import subprocess
import sys
import time
import traceback
from urllib.parse import quote, quote_plus

import pytest

from mixpanel_fetch import MixpanelAPIClient, Workspace
from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.config import Destination, load_settings
from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import Credentials
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.simulator import Fault, SimulatorProcess
from mixpanel_fetch.transport import Transport

SINK = '''
"""A sink that breaks, and says where it was going."""
from mixpanel_fetch import SinkSpec, hookimpl


class Broken:
    capabilities = frozenset({"create"})

    def __init__(self, location):
        self.location = location

    def begin(self, table, mode, run):
        raise OSError(f"cannot reach broken://{self.location}")

    def close(self):
        pass


@hookimpl
def register_sinks():
    return [SinkSpec("broken", lambda location, **options: Broken(location))]
'''


def forms_of(secret, user="demo"):
    """Return every spelling in which ``secret`` could show: its own, quoted, in any base64."""
    text = secret.encode()
    forms = {
        text,
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        repr(secret)[1:-1].encode(),
    }
    for before in (b"", f"{user}:".encode(), b"x", b"xx"):
        whole = base64.b64encode(before + text)
        # What comes before and after the secret alters the first and the last digits.
        start = -(-len(before) * 8 // 6)
        forms |= {whole, whole[start : (len(before + text) * 8) // 6]}
        forms.add(base64.urlsafe_b64encode(before + text).rstrip(b"="))
    forms |= {text.hex().encode(), text[::-1]}
    return forms


class Traces:
    """Where a run may leave something, and a look through all of it."""

    def __init__(self, root):
        self.root = root
        # Signs that URLs, shells and base64 treat each in their own way.
        self.secret = f"s3cr3t-{secrets.token_hex(8)}/+=&%?é:@"
        self.password = f"pw-{secrets.token_hex(12)}"
        for name in ("home", "config", "cache", "state", "data", "run", "work", "tmp"):
            (root / name).mkdir(mode=0o700)

    @property
    def work(self):
        return self.root / "work"

    def environment(self, base_url, **changes):
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        folders = {
            f"XDG_{name.upper()}": str(self.root / folder)
            for name, folder in (
                ("config_home", "config"),
                ("cache_home", "cache"),
                ("state_home", "state"),
                ("data_home", "data"),
                ("runtime_dir", "run"),
            )
        }
        account = {
            "MP_USERNAME": "demo",
            "MP_SECRET": self.secret,
            "MP_PROJECT_ID": "12345",
            "MP_API_BASE_URL": base_url,
            "MP_DESTINATION": f"duckdb:///{self.work}/r.duckdb",
        }
        homes = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        merged = {**kept, **folders, **homes, **account, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def found_in(self, *texts):
        """Return which spellings of a secret stand where, in the texts and in every file."""
        spellings = forms_of(self.secret) | forms_of(self.password)
        places = {f"output {number}": text for number, text in enumerate(texts)}
        for path in self.root.rglob("*"):
            places[f"the name {path}"] = str(path).encode()
            if path.is_file() and path.name != "planted.toml":
                places[str(path)] = path.read_bytes()
        return [
            (place, spelling)
            for (place, text), spelling in itertools.product(places.items(), spellings)
            if spelling in text
        ]


@pytest.fixture
def traces(tmp_path):
    return Traces(tmp_path)


def started(traces, environment, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "users", *arguments],
        env=environment,
        cwd=traces.work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


FAILING = [Fault(None, "404", times=None, after=1)]
PARTIAL = [Fault(2, "404", times=None)]
# name: (exit code, switches of the simulator, environment, arguments); {pw} and {dir} are put in.
SCENARIOS = {
    "success": (0, {}, {}, ["--parallel", "-v", "-v"]),
    "success, as a project secret": (0, {"as_api": True}, {}, ["-vv"]),
    "jsonl": (0, {}, {"MP_DESTINATION": "jsonl:///{dir}/r.jsonl"}, ["-vv"]),
    "parquet": (0, {}, {"MP_DESTINATION": "parquet:///{dir}/r.parquet"}, ["-vv"]),
    "refused": (2, {"secret": "another"}, {}, ["-vv"]),
    "not text": (3, {}, {"MP_SECRET": "{secret}\udcff"}, ["-vv"]),
    "all pages fail": (1, {"faults": FAILING}, {}, ["--parallel", "-vv"]),
    "partial": (1, {"faults": PARTIAL}, {}, ["--parallel", "--replace", "-vv"]),
    "redirected": (
        1,
        {"faults": [Fault(0, "redirect", location="http://e.invalid/")]},
        {},
        ["-vv"],
    ),
    "too large": (1, {}, {}, ["-vv", "--max-page-bytes", "1"]),
    "an address that is none": (3, {}, {"MP_API_BASE_URL": "ftp://u:{pw}@h"}, ["-vv"]),
    "an address with a password": (0, {"user_in_url": True}, {}, ["-vv"]),
    "a sink that is missing": (3, {}, {"MP_DESTINATION": "postgresql://u:{pw}@h/d"}, ["-vv"]),
    "a destination that is none": (3, {}, {}, ["--to", "u:{pw}@h/d", "-vv"]),
    "a sink that breaks": (
        1,
        {},
        {"MP_DESTINATION": "broken://u:{pw}@h/d"},
        ["--plugin", "{dir}/broken.py"],
    ),
    "a proxy that is down": (
        1,
        {},
        {"http_proxy": "http://u:{pw}@127.0.0.1:9", "MP_API_BASE_URL": "http://h.invalid"},
        ["-vv"],
    ),
    "a proxy that is none": (
        3,
        {},
        {"http_proxy": "socks9://u:{pw}@h", "MP_API_BASE_URL": "http://h.invalid"},
        ["-vv"],
    ),
    "the secret in a file": (
        0,
        {},
        {"MP_SECRET": None, "MP_CONFIG": "{dir}/planted.toml"},
        ["-vv"],
    ),
    "a file with a mistake": (
        3,
        {},
        {"MP_CONFIG": "{dir}/planted.toml"},
        ["--account", "x", "-vv"],
    ),
}


def prepare(traces, simulator_switches):
    switches = {"secret": traces.secret, "profiles": 500, "page_size": 100, **simulator_switches}
    changes = {}
    if switches.pop("as_api", False):
        switches = {"api_secret": traces.secret, **switches}
        changes = {"MP_USERNAME": None, "MP_SECRET": None, "MP_API_SECRET": traces.secret}
    user_in_url = switches.pop("user_in_url", False)
    (traces.work / "broken.py").write_text(SINK)
    planted = traces.work / "planted.toml"
    planted.touch(0o600)
    planted.write_text(f"secret = '{traces.secret}'\n")
    return switches, changes, user_in_url


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_leaves_no_secret_behind(engage_simulator, traces, name):
    code, switches, changes, arguments = SCENARIOS[name]
    switches, account, user_in_url = prepare(traces, switches)
    simulator = engage_simulator(**switches)

    def put_in(text):
        for word, value in (
            ("pw", traces.password),
            ("dir", traces.work),
            ("secret", traces.secret),
        ):
            text = text.replace(f"{{{word}}}", str(value))
        return text

    url = simulator.base_url
    if user_in_url:
        url = url.replace("//", f"//u:{traces.password}@")
    changes = {key: value and put_in(value) for key, value in changes.items()}
    environment = traces.environment(url, **{**account, **changes})
    process = started(traces, environment, *map(put_in, arguments), "--max-wait", "0")
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err.decode()
    assert traces.found_in(out, err) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_secret_behind(traces, number):
    with SimulatorProcess(profiles=40_000, latency=0.5, secret=traces.secret) as simulator:
        process = started(traces, traces.environment(simulator.base_url), "--parallel", "-vv")
        deadline = time.monotonic() + 30
        while len(simulator.stats.requests) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    assert list(traces.work.glob("r.duckdb*"))
    assert traces.found_in(out, err) == []


def test_the_look_through_everything_finds_what_is_there(traces):
    assert traces.found_in(b"nothing") == []
    for number, spelling in enumerate(sorted(forms_of(traces.secret))):
        assert traces.found_in(b"x" + spelling + b"x")
        path = traces.root / "cache" / f"{number}.bin"
        path.write_bytes(b"\0" + spelling + b"\0")
        assert str(path) in {place for place, _ in traces.found_in()}
        path.unlink()
    header = base64.b64encode(f"demo:{traces.secret}".encode())
    assert traces.found_in(b"Authorization: Basic " + header)
    assert traces.found_in(b"Authorization: Basic " + header.rstrip(b"="))
    assert traces.found_in(base64.b64encode(f"another:{traces.secret}:more".encode()))
    (traces.root / "state" / traces.password).touch()
    assert traces.found_in()


# Files of our own


def test_files_of_our_own_are_for_their_owner_only_and_never_another_file(engage_simulator, traces):
    simulator = engage_simulator(profiles=10, secret=traces.secret)
    environment = traces.environment(simulator.base_url)
    assert started(traces, environment).communicate(timeout=30)
    folders = ("home", "config", "cache", "state", "data", "run", "tmp")
    own = [path for folder in folders for path in (traces.root / folder).rglob("*")]
    files = [path for path in own if not path.is_dir()]
    assert files
    for path in files:
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    victim = traces.root / "home" / "victim"
    victim.write_text("mine")
    for path in files:
        path.unlink()
        path.symlink_to(victim)
    process = started(traces, environment, "--replace")
    process.communicate(timeout=30)
    assert (process.returncode, victim.read_text()) == (0, "mine")


# Within the process


@pytest.fixture
def every_log(caplog):
    """Capture every logger there is, from DEBUG on, those of urllib3 and requests among them."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "requests", "mixpanel_fetch", "urllib3.connectionpool"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def shown_by(error):
    """Return everything that ``error`` and what is behind it shows of itself."""
    texts, queue, seen = [], [error], set()
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        attributes = vars(one)
        texts += [str(one), repr(one), repr(one.args), repr(attributes)]
        texts += [repr(getattr(value, "headers", "")) for value in attributes.values()]
        texts += traceback.TracebackException.from_exception(one).format()
        queue += [one.__cause__, one.__context__]
        queue += [value for value in attributes.values() if isinstance(value, BaseException)]
        queue += [value for value in one.args if isinstance(value, BaseException)]
    return "\n".join(texts)


ERRORS = {
    "success": {},
    "refused": {"secret": "another"},
    "reset": {"faults": [Fault(0, "reset", times=None)]},
    "cut short": {"faults": [Fault(0, "truncate", times=None)]},
    "no gzip": {"faults": [Fault(0, "bad_gzip", times=None)]},
    "no JSON": {"faults": [Fault(0, "bad_json", times=None)]},
    "a quota": {"faults": [Fault(0, "429_hourly", times=None)]},
    "a later page": {"faults": [Fault(1, "reset", times=None)]},
}


@pytest.mark.parametrize("name", ERRORS)
def test_neither_logs_nor_errors_show_a_secret(engage_simulator, traces, every_log, capfd, name):
    simulator = engage_simulator(**{"secret": traces.secret, "page_size": 500, **ERRORS[name]})
    workspace = Workspace(
        username="demo",
        secret=traces.secret,
        project_id=12345,
        api_base_url=simulator.base_url,
        destination=f"duckdb:///{traces.work}/r.duckdb",
        max_retries=1,
        max_wait=0,
    )
    shown = ""
    try:
        result = workspace.fetch_profiles("users", parallel=True)
        shown = repr(result) + "".join(shown_by(one.error) for one in result.failures)
    except MixpanelFetchError as error:
        shown = shown_by(error)
    said = "\n".join([every_log.text, *capfd.readouterr(), shown])
    assert "urllib3" in every_log.text
    assert traces.found_in(said.encode()) == []


def test_no_error_of_the_wire_holds_the_request(traces):
    with Transport(connect_timeout=1, read_timeout=1) as transport:
        for url in ("http://127.0.0.1:9", "http://[::1", "http://" + "a" * 300, "x://y"):
            with pytest.raises(MixpanelFetchError) as caught:
                transport.post(url, params={}, form={}, auth=("demo", traces.secret))
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None
            assert traces.found_in(shown_by(caught.value).encode()) == []
        with pytest.raises(MixpanelFetchError) as caught:
            transport.post(
                "http://127.0.0.1:9", params={}, form={}, auth=("d", traces.secret + "\udcff")
            )
        assert traces.found_in(shown_by(caught.value).encode()) == []


def test_no_object_shows_the_secret_it_holds(traces):
    account = {"username": "demo", "secret": traces.secret, "project_id": 1}
    client = MixpanelAPIClient(**account)
    workspace = Workspace(
        **account, destination=f"x://u:{traces.password}@h/d?token={traces.password}"
    )
    things = [
        Secret(traces.secret),
        client.settings,
        client.settings.credentials,
        client,
        client.gate,
        workspace,
        load_settings(**account, destination=f"x://u:{traces.password}@h"),
        Destination.parse(f"x://u:{traces.password}@h/d?sslpassword={traces.password}"),
        ClientSettings(Credentials(api_secret=traces.secret)),
    ]
    for one in things:
        assert traces.found_in(repr(one).encode(), str(one).encode(), f"{one}".encode()) == []


def test_the_look_at_errors_finds_what_is_there(traces):
    def fail():
        try:
            raise ValueError(traces.secret)
        except ValueError:
            raise MixpanelFetchError("hidden") from None

    with pytest.raises(MixpanelFetchError) as caught:
        fail()
    assert traces.found_in(shown_by(caught.value).encode())
