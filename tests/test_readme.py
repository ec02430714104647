"""Every command and snippet of the README runs; the tox line is run by CI itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import SimulatorProcess

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
SHELL = [code for language, code in BLOCKS if language == "sh"]
PYTHON = [code for language, code in BLOCKS if language == "python"]
SET_UP = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mp demo\n"
TOX = ".venv/bin/pip install tox && .venv/bin/tox\n"


@pytest.fixture(scope="module")
def simulated():
    with SimulatorProcess(profiles=2500) as simulator:
        yield {"MP_API_BASE_URL": simulator.base_url}


def environment(simulated):
    scripts = Path(sys.executable).parent
    return {**os.environ, **simulated, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}


def run(command, folder, env):
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_set_up_command_works_in_a_clean_copy(tmp_path):
    assert SHELL[0] == SET_UP
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "build", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "copy", ignore=ignored)
    # What is imported is compiled then; pip would compile everything, setuptools included.
    quicker = {**os.environ, "PIP_NO_COMPILE": "1"}
    out = run(["bash", "-ec", SHELL[0]], tmp_path / "copy", quicker)
    assert '"total_rows": 25000' in out


def test_the_tox_line_is_the_one_that_ci_runs():
    assert SHELL[1] == TOX
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip" install --quiet tox' in ci
    assert "venv/bin/tox" in ci


def test_the_commands_run_in_their_order(simulated, tmp_path):
    *_, sink = PYTHON
    (tmp_path / "my_sink.py").write_text(sink, encoding="utf-8")
    commands = "\n".join(SHELL[2:])
    run(["bash", "-euc", commands], tmp_path, environment(simulated))
    left = {path.name for path in tmp_path.iterdir()}
    assert left >= {"mixpanel.duckdb", "profiles.parquet", "plans.jsonl", "profiles.csv"}
    assert len((tmp_path / "profiles.csv").read_text(encoding="utf-8").splitlines()) == 2500
    assert len((tmp_path / "plans.jsonl").read_text(encoding="utf-8").splitlines()) == 2500


@pytest.mark.parametrize(("code", "says"), [(PYTHON[0], "2500 profiles in "), (PYTHON[1], "")])
def test_the_python_snippets_run(simulated, tmp_path, code, says):
    account = {"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"}
    out = run(
        [sys.executable, "-W", "error", "-c", code],
        tmp_path,
        {**environment(simulated), **account},
    )
    assert out.startswith(says)
    assert out.count("\n") > 3


def test_every_fact_of_the_settings_table_is_one():
    from mixpanel_fetch import config

    documented = set(re.findall(r"`(MP_[A-Z_]+)`", README))
    others = {"MP_ACCOUNT", "MP_CONFIG", "MP_PLUGIN_NAME_OPTION"}
    assert documented == {*config.SETTINGS.values()} | others
    assert f"`{config.DEFAULT_DESTINATION}`" in README


def test_every_link_into_the_project_leads_somewhere():
    targets = re.findall(r"\]\((?!https?://)([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
