"""Completion on Tab: what ``mp`` answers to a shell that asks, and what real shells make of it."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch.cli.app import _HOMES
from mixpanel_fetch.simulator import Fault

BREAKS = " \t\n\"'><=;|&(:"
COLUMNS = "(distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"
SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the default destination in it."""
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("mixpanel.duckdb") as connection:
        for table in ("profiles", "users", '"my table"'):
            connection.execute(f"CREATE TABLE {table} {COLUMNS}")
    return tmp_path


@pytest.fixture
def asked(mp, monkeypatch):
    """What is offered for a command up to the cursor: values with a word about each."""

    def ask(text, shell="bash"):
        monkeypatch.setenv("_MP_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", text)
        monkeypatch.setenv("COMP_WORDBREAKS", BREAKS)
        ended = mp()
        assert ended.err == ""
        return [line.split("\t")[1] for line in ended.out.splitlines()]

    return ask


def test_every_command_is_offered_without_importing_one():
    code = (
        "import os, sys; os.environ.update(_MP_COMPLETE='bash_complete', COMP_WORDS='mp ')\n"
        "from mixpanel_fetch.cli import run; run([])\n"
        "heavy = {'duckdb', 'gevent', 'requests', 'rich', 'mixpanel_fetch.cli.fetch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == sorted(_HOMES)


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("mp fet", ["fetch"]),
        ("mp fetch ", ["cohort-members", "cohorts", "groups", "many", "profiles"]),
        ("mp fetch profiles --strat", ["--strategy"]),
        ("mp fetch profiles --strategy ", ["gevent-pool", "sequential"]),
        ("mp fetch profiles --transform se", ["select", "select:"]),
        ("mp fetch profiles --transform select:", []),
        ("mp fetch profiles --to j", ["jsonl://"]),
        ("mp check --to ", ["duckdb://", "jsonl://", "parquet://"]),
        ("mp sql --to=duck", ["duckdb://"]),
        ("mp plugins show par", ["parquet"]),
        ("mp plugins check --kind strategy ", ["gevent-pool", "sequential"]),
        ("mp completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_names_are_offered(asked, text, offered):
    assert asked(text) == offered


@pytest.mark.parametrize(
    "command", ["inspect", "report", "fetch profiles --append", "check --resume"]
)
def test_the_tables_of_the_destination_are_offered(asked, folder, command):
    assert asked(f"mp {command} ", "zsh") == ["my table", "profiles", "users"]
    Path("mixpanel.duckdb").rename("other.duckdb")
    assert asked(f"mp {command} us", "zsh") == []
    assert asked(f"mp {command} --to duckdb:///other.duckdb us", "zsh") == ["users"]
    assert [path.name for path in folder.iterdir()] == ["other.duckdb"]


def test_a_fetch_that_makes_a_table_is_offered_none(asked, folder):
    assert asked("mp fetch profiles ") == []


def test_a_table_is_written_as_bash_needs_it(asked, folder):
    assert asked("mp inspect my") == ["my\\ table"]
    assert asked('mp inspect "my') == ["my table"]


def test_bash_is_given_what_stands_behind_its_last_break(asked, folder):
    assert asked("mp inspect --to duckdb:") == ["//"]
    assert asked("mp inspect --to duckdb:///mix") == ["///mixpanel.duckdb"]
    assert asked("mp inspect --to=duckdb:///mix", "fish") == ["--to=duckdb:///mixpanel.duckdb"]
    assert asked("mp inspect --to=duckdb:///mix", "zsh") == ["duckdb:///mixpanel.duckdb"]


def test_accounts_are_offered_by_name(asked, tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text("[accounts.prod]\nusername = 'u'\nsecret = 's'\n[accounts.test]\n")
    file.chmod(0o600)
    monkeypatch.setenv("MP_CONFIG", str(file))
    for command in ("fetch profiles --account", "auth use", "auth test", "config show --account"):
        assert asked(f"mp {command} ") == ["prod", "test"]


def test_runs_that_can_be_discarded_are_offered(
    asked, tmp_path, monkeypatch, workspace_of, engage_simulator
):
    monkeypatch.chdir(tmp_path)
    simulator = engage_simulator(profiles=300, page_size=100, faults=[Fault(2, "404", times=None)])
    workspace = workspace_of(simulator, "duckdb:///mixpanel.duckdb")
    lacking = workspace.fetch_profiles("lacking", progress=False)
    simulator.set_faults([])
    workspace.fetch_profiles("whole", progress=False)
    assert asked("mp runs discard ") == [lacking.run_id]


@pytest.mark.parametrize(
    "destination", ["duckdb:///no/such/folder/x.db", "nonsense", "duckdb:///broken", "jsonl:///x"]
)
def test_a_destination_that_cannot_be_read_offers_nothing_and_says_nothing(
    asked, tmp_path, monkeypatch, destination
):
    monkeypatch.chdir(tmp_path)
    Path("broken").write_text("no database")
    assert asked(f"mp inspect --to {destination} ") == []


def test_a_destination_that_does_not_answer_is_given_up(tmp_path):
    plugin = tmp_path / "slow.py"
    plugin.write_text(
        "import threading\n"
        "from mixpanel_fetch.cli.completion.patience import within_a_second\n"
        "from mixpanel_fetch.cli.completion.patience import somebody_waits\n"
        "assert within_a_second(lambda: threading.Event().wait(600)) == []\n"
        "assert somebody_waits()\n"
    )
    done = subprocess.run([sys.executable, plugin], timeout=60, check=False)
    assert done.returncode == 0


def test_a_broken_question_is_answered_with_nothing(mp, monkeypatch):
    monkeypatch.setenv("_MP_COMPLETE", "tcsh_complete")
    ended = mp()
    assert (ended.code, ended.out, ended.err) == (1, "", "")


class Terminal:
    """An interactive shell at a terminal."""

    def __init__(self, *command):
        self._master, slave = pty.openpty()
        path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "PATH": path, "TERM": "xterm", "PS1": "$ "},
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def type(self, keys, until):
        """Type ``keys`` and read until ``until`` comes."""
        self.seen, deadline = "", time.monotonic() + 100
        os.write(self._master, keys.encode())
        while until not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._master], [], [], 1)[0]:
                self.seen += os.read(self._master, 65536).decode(errors="replace")

    def close(self):
        os.write(self._master, b"\x15exit\n")
        os.close(self._master)
        self._shell.kill()
        self._shell.wait()


SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), 'eval "$(mp completion bash)"'),
    "zsh": (
        ("zsh", "-f", "-i"),
        'autoload -U compinit; compinit -u -D; eval "$(mp completion zsh)"',
    ),
    "fish": (("fish", "--no-config", "-i"), "mp completion fish | source"),
}


@pytest.mark.parametrize("name", SHELLS)
def test_a_real_shell_completes_by_the_printed_script(folder, name):
    command, set_up = SHELLS[name]
    if shutil.which(command[0]) is None or shutil.which("setsid") is None:
        pytest.skip(f"needs {name} and setsid")
    terminal = Terminal(*command)
    try:
        terminal.type(f'{set_up}; echo rea""dy\n', "ready")
        terminal.type("mp tab\t--to du\t/mix\t", "panel.duckdb")
        terminal.type("--form\tjs\t> tables.json; echo o''ver\n", "over")
        names = {row["name"] for row in json.loads(Path("tables.json").read_text())}
        assert names == {"my table", "profiles", "users"}
        terminal.type("mixpanel-fetch inspect us\t", "ers")
    finally:
        terminal.close()
