"""``mp auth``: accounts added, listed, chosen, tried and removed."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpanel_fetch.config_file import default_config_path

ADD = ("auth", "add", "prod", "--username", "demo", "--project-id", "12345")


@pytest.fixture
def piped(monkeypatch):
    """Give stdin a text, as a pipe would."""

    def give(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    give("")
    return give


@pytest.fixture
def added(mp, piped):
    """Add an account, and return what the command left."""

    def add(name="prod", *options, secret="demo-secret"):
        piped(f"{secret}\n")
        named = ("auth", "add", name, "--username", "demo", "--project-id", "12345")
        return mp(*named, *options, "--secret-stdin")

    return add


def one_line(text):
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


# Adding


def test_an_account_is_added_with_its_secret_from_stdin_and_then_counts(
    added, mp, engage_simulator, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    done = added("prod", "--api-base-url", engage_simulator(profiles=30).base_url)
    assert (done.code, done.out) == (0, "")
    assert "demo-secret" not in done.err
    assert f"account prod is added, its secret in {default_config_path()}" in done.err
    assert "it is the default account; try it: `mp auth test prod`" in done.err
    assert stat.S_IMODE(default_config_path().stat().st_mode) == 0o600
    assert json.loads(mp("fetch", "profiles").out)["total_rows"] == 30


@pytest.mark.usefixtures("piped")
def test_the_environment_fills_in_where_nobody_can_be_asked(mp, monkeypatch):
    monkeypatch.setenv("MP_USERNAME", "env")
    monkeypatch.setenv("MP_SECRET", "env-secret")
    monkeypatch.setenv("MP_PROJECT_ID", "9")
    monkeypatch.setenv("MP_REGION", "in")
    done = mp("auth", "add", "prod")
    assert "MP_USERNAME is set, and wins over the default account" in done.err
    text = default_config_path().read_text()
    assert text == (
        'default = "prod"\n\n[accounts.prod]\nusername = "env"\nproject_id = "9"\n'
        'region = "in"\nsecret = "env-secret"\n'
    )


@pytest.mark.usefixtures("piped")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--project-id", "1"], "needs --username, or MP_USERNAME"),
        (["--username", "u"], "needs --project-id, or MP_PROJECT_ID"),
        (["--username", "u", "--project-id", "1"], "--secret-stdin, or set MP_SECRET"),
        (["--username", "u", "--project-id", "1", "--secret-stdin"], "nothing came on stdin"),
        (["--username", "u", "--project-id", "3f9a6b"], "a number is needed, not a token"),
        (["--project-secret"], "--secret-stdin, or set MP_API_SECRET"),
        (["--username", "u", "--project-id", "1", "--region", "mars"], "'us', 'eu', 'in'"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line_and_exits_with_3(mp, arguments, words):
    done = mp("auth", "add", "prod", *arguments)
    assert (done.code, one_line(done.err)) == (3, True)
    assert words in done.err
    assert not default_config_path().exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--api-base-url", "nonsense"), ("--destination", "x.duckdb"), ("--workspace-id", "all")],
)
def test_a_setting_that_could_not_work_is_not_stored(added, option, value):
    done = added("prod", option, value)
    assert (done.code, one_line(done.err)) == (3, True)
    assert not default_config_path().exists()


def test_an_account_that_is_there_is_refused_before_anything_is_asked(added, mp):
    added()
    done = mp("auth", "add", "prod")
    assert (done.code, one_line(done.err)) == (3, True)
    assert "--replace takes its place" in done.err
    assert "account prod is replaced" in added("prod", "--replace", secret="other").err
    assert "demo-secret" not in default_config_path().read_text()


def test_a_project_secret_is_stored_with_a_warning(mp, piped):
    piped("old-secret")
    done = mp("auth", "add", "old", "--project-secret", "--secret-stdin")
    assert done.code == 0
    assert "retires project secrets on 2027-03-03" in done.err
    assert json.loads(mp("auth", "list").out)[0]["user"] == "(project secret)"


def test_the_keyring_keeps_the_secret_where_there_is_one(added, mp, ring):
    assert "its secret in the keyring" in added().err
    assert list(ring.kept.values()) == ["demo-secret"]
    assert json.loads(mp("auth", "list").out)[0]["secret"] == "keyring"
    assert "config.toml" in added("other", "--no-keyring").err


class Terminal:
    """``mp`` at a terminal, with what it shows."""

    def __init__(self, *arguments):
        self.shown = ""
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mixpanel_fetch.cli", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def answer(self, question, answer):
        """Wait until ``question`` shows, and type ``answer``."""
        end = time.monotonic() + 30
        while question not in self.shown and time.monotonic() < end:
            self._read()
        assert question in self.shown, self.shown
        self.shown = self.shown.partition(question)[2]
        os.write(self._ours, f"{answer}\n".encode())

    def end(self):
        """Wait for the end, and return the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(30)

    def _read(self):
        if not select.select([self._ours], [], [], 30)[0]:
            return False
        try:
            text = os.read(self._ours, 4096).decode()
        except OSError:  # the other side is closed
            return False
        self.shown += text
        return bool(text)


def test_at_a_terminal_it_asks_for_what_is_missing_and_hides_the_secret():
    terminal = Terminal("auth", "add", "prod", "--workspace-id", "8")
    terminal.answer("user name: ", "svc.1")
    terminal.answer("Project id: ", "token")
    terminal.answer("Project id: ", "77")
    terminal.answer("[us]: ", "eu")
    terminal.answer("Secret (not shown): ", "hunter2")
    assert terminal.end() == 0
    assert "hunter2" not in terminal.shown
    assert "account prod is added" in terminal.shown
    assert (
        default_config_path()
        .read_text()
        .endswith(
            'username = "svc.1"\nproject_id = "77"\nregion = "eu"\nworkspace_id = "8"\n'
            'secret = "hunter2"\n'
        )
    )


def test_at_a_terminal_removing_asks_first(added):
    added()
    terminal = Terminal("auth", "remove", "prod")
    terminal.answer("[y/N]: ", "n")
    assert terminal.end() == 130
    assert "demo-secret" in default_config_path().read_text()
    terminal = Terminal("auth", "remove", "prod")
    terminal.answer("[y/N]: ", "y")
    assert terminal.end() == 0
    assert "demo-secret" not in default_config_path().read_text()


# Listing, choosing, removing


def test_the_list_names_each_account_and_shows_no_secret(added, mp):
    added("prod", "--region", "eu")
    added("test", "--workspace-id", "8")
    done = mp("auth", "list", "--format", "text")
    assert done.out.splitlines() == [
        "NAME  USER  PROJECT  REGION  SECRET  DEFAULT",
        "prod  demo  12345    eu      file    yes",
        "test  demo  12345    us      file",
    ]
    assert json.loads(mp("auth", "list").out)[1] == {
        "name": "test",
        "user": "demo",
        "project": "12345",
        "region": "us",
        "secret": "file",
        "default": False,
    }


def test_an_empty_list_says_how_to_begin(mp):
    assert "`mp auth add NAME` adds one" in mp("auth", "list", "--format", "text").out
    assert json.loads(mp("auth", "list").out) == []


def test_the_list_is_of_the_file_and_says_what_wins_over_it(added, mp, monkeypatch):
    added()
    monkeypatch.setenv("MP_USERNAME", "env")
    monkeypatch.setenv("MP_PROJECT_ID", "9")
    done = mp("auth", "list", "--format", "text")
    assert "prod  demo  12345" in done.out
    assert "MP_USERNAME is set, and wins over the default account" in done.err


def test_another_account_can_be_the_default(added, mp):
    added("prod")
    added("test")
    done = mp("auth", "use", "test")
    assert (done.code, done.out, done.err) == (0, "", "mp: test is the default account\n")
    assert [row["default"] for row in json.loads(mp("auth", "list").out)] == [False, True]


def test_an_account_is_removed_with_its_secret(added, mp):
    added("prod")
    added("test", secret="test-secret")
    done = mp("auth", "remove", "prod")
    assert done.code == 0
    assert "no default account now; choose one: `mp auth use test`" in done.err
    text = default_config_path().read_text()
    assert "demo-secret" not in text
    assert "test-secret" in text


@pytest.mark.parametrize("command", ["use", "remove", "test"])
def test_an_unknown_account_is_one_line(mp, command):
    done = mp("auth", command, "gone")
    assert (done.code, one_line(done.err)) == (3, True)
    assert "no account is called 'gone'" in done.err


def test_comments_of_the_file_survive_every_command(added, mp):
    path = default_config_path()
    path.parent.mkdir(parents=True)
    path.write_text("# mine\nregion = 'eu' # here\n\n# the rest\n[plugins.duckdb]\nthreads = 2\n")
    before = path.read_text()
    added("prod")
    mp("auth", "use", "prod")
    mp("auth", "remove", "prod")
    assert path.read_text() == before


def test_another_file_may_be_named(added, monkeypatch, tmp_path):
    monkeypatch.setenv("MP_CONFIG", str(tmp_path / "other" / "mp.toml"))
    assert added().code == 0
    assert not default_config_path().exists()
    assert Path(tmp_path / "other" / "mp.toml").exists()


# Trying


def test_an_account_that_works_is_one_line(added, mp, engage_simulator):
    simulator = engage_simulator(profiles=2500)
    added("prod", "--api-base-url", simulator.base_url)
    done = mp("auth", "test", "--format", "text")
    host = simulator.base_url.partition("//")[2]
    assert done.out == f"ok: account prod reaches project 12345 at {host}: 2,500 profiles\n"
    assert (done.code, done.err) == (0, "")
    assert json.loads(mp("auth", "test", "prod").out) == {
        "account": "prod",
        "project_id": "12345",
        "region": "us",
        "host": host,
        "profiles": 2500,
        "queries_left": None,
        "warnings": [],
    }


def test_the_settings_are_tried_where_no_account_is_named(mp, engage_simulator, environment_of):
    environment_of(engage_simulator(profiles=3))
    assert mp("auth", "test", "--format", "text").out.startswith("ok: the settings reach project")


def test_a_secret_that_is_refused_exits_with_2_and_says_what_to_do(added, mp, engage_simulator):
    added("prod", "--api-base-url", engage_simulator().base_url, secret="hunter2")
    done = mp("auth", "test", "prod")
    assert (done.code, one_line(done.err)) == (2, True)
    assert json.loads(done.out)["error"]["type"] == "AuthenticationError"
    assert "`mp auth add prod --replace`" in done.err
    assert "hunter2" not in done.out + done.err


def test_no_credentials_at_all_say_how_to_begin(mp):
    done = mp("auth", "test")
    assert (done.code, one_line(done.err)) == (3, True)
    assert "`mp auth add NAME` stores some" in done.err


def test_what_is_odd_though_it_works_is_a_warning(mp, engage_simulator, monkeypatch):
    monkeypatch.setenv("MP_API_SECRET", "old")
    monkeypatch.setenv("MP_API_BASE_URL", engage_simulator(profiles=0, api_secret="old").base_url)
    done = mp("auth", "test", "--format", "text")
    assert done.code == 0
    assert "reach the project of its secret" in done.out
    assert "mp: warning: a project secret is in use" in done.err
    assert "mp: warning: no profiles; if there should be some, check MP_REGION" in done.err
