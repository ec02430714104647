"""What ``mp plugins new`` writes: installed beside the built wheel, tested as it is, and used.

In a fresh virtual environment, by its own ``mp``. The generated files are not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import SimulatorProcess

ROOT = Path(__file__).parents[1]
SHIPPED = ("LICENSE", "README.md", "_mixpanel_fetch_pytest.py", "pyproject.toml", "setup.cfg")
PLUGINS = {"sink": "hello", "transform": "only-with", "strategy": "one-by-one"}


def run(*command, cwd=None, env=None):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder with a virtual environment: the wheel, three new plugins, what their tests need."""
    folder = tmp_path_factory.mktemp("machine")
    source = folder / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mixpanel_fetch", source / "mixpanel_fetch", ignore=ignored)
    for name in SHIPPED:
        shutil.copy(ROOT / name, source)
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--python", sys.executable, folder / "venv")
    scripts = folder / "venv" / "bin"
    install = (*uv, "pip", "install", "--python", scripts / "python")
    run(*uv, "build", "--wheel", "--python", sys.executable, "-o", folder / "dist", source)
    (wheel,) = (folder / "dist").glob("*.whl")
    run(*install, "setuptools>=77", "pytest>=8.2", "ruff>=0.9", wheel)
    shutil.rmtree(source)
    for kind, name in PLUGINS.items():
        run(scripts / "mp", "plugins", "new", kind, name, cwd=folder)
    new = [f"{folder / f'mixpanel-fetch-{name}'}[test]" for name in PLUGINS.values()]
    run(*install, "--no-index", "--no-build-isolation", *new)
    for left in folder.glob("mixpanel-fetch-*/build"):
        shutil.rmtree(left)
    return folder


def test_they_are_there_as_anyones(machine):
    rows = json.loads(run(machine / "venv/bin/mp", "plugins", "list", "--json"))
    found = {row["kind"]: row for row in rows if row["name"] in PLUGINS.values()}
    assert {kind: row["name"] for kind, row in found.items()} == PLUGINS
    for row in found.values():
        assert (row["distribution"], row["version"], row["status"]) == (
            f"mixpanel-fetch-{row['name']}",
            "0.1.0",
            "ok",
        )


@pytest.mark.parametrize("kind", PLUGINS)
def test_its_own_tests_pass_untouched(machine, kind):
    folder = machine / f"mixpanel-fetch-{PLUGINS[kind]}"
    out = run(machine / "venv/bin/pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    last = out.splitlines()[-1]
    assert " passed" in last
    assert "failed" not in last
    assert "error" not in last


def test_the_check_that_its_readme_names_finds_nothing(machine):
    folder = machine / "mixpanel-fetch-hello"
    command = "mp plugins check hello --rows tests/test_hello.py:read_rows"
    assert f"\n{command}\n" in (folder / "README.md").read_text(encoding="utf-8")
    out = run(machine / "venv/bin/mp", *command.split()[1:], cwd=folder)
    assert out.startswith("the sink hello (mixpanel-fetch-hello 0.1.0)\n")
    assert "FAILED" not in out


@pytest.mark.parametrize("kind", PLUGINS)
def test_its_code_is_tidy(machine, kind):
    """By the rules that an author has without any settings, and by ours."""
    folder = machine / f"mixpanel-fetch-{PLUGINS[kind]}"
    ruff = machine / "venv/bin/ruff"
    run(ruff, "check", "--no-cache", "--isolated", ".", cwd=folder)
    run(ruff, "format", "--check", "--no-cache", "--isolated", ".", cwd=folder)
    # What is called by others may leave an argument unused; a test needs no docstring.
    run(
        *(ruff, "check", "--no-cache", "--config", ROOT / "ruff.toml"),
        *("--ignore", "ARG", "--per-file-ignores", "tests/**:D", "."),
        cwd=folder,
    )


def test_a_fetch_with_all_three(machine, tmp_path):
    with SimulatorProcess(profiles=900, page_size=100) as simulator:
        account = {
            "MP_USERNAME": "demo",
            "MP_SECRET": "demo-secret",
            "MP_PROJECT_ID": "12345",
            "MP_API_BASE_URL": simulator.base_url,
        }
        out = run(
            *(machine / "venv/bin/mp", "fetch", "profiles", "--to", "hello:///out.jsonl"),
            *("--strategy", "one-by-one", "-o", "backwards=true", "--transform", "only-with:plan"),
            cwd=tmp_path,
            env={**os.environ, **account},
        )
        order = [request.page for request in simulator.stats.requests]
    document = json.loads(out)
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert order == [0, *range(8, 0, -1)]
    assert len(lines) == document["total_rows"] > 0
    assert document["total_rows"] + document["rows_dropped"] == 900
    assert all(json.loads(line)["properties"]["plan"] for line in lines)
