"""What is built: the wheel, its metadata and its entry points."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

from mixpanel_fetch import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "build", "__pycache__")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "source"],
        check=True,
        capture_output=True,
    )
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    assert sdist.name == f"mixpanel_fetch-{__version__}.tar.gz"
    (path,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    folders = {name.split("/")[0] for name in wheel.namelist()}
    ours = {"mixpanel_fetch", "_mixpanel_fetch_pytest.py"}
    assert folders == {*ours, f"mixpanel_fetch-{__version__}.dist-info"}
    assert "mixpanel_fetch/py.typed" in wheel.namelist()


def test_every_module_is_in_the_wheel(wheel):
    modules = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "mixpanel_fetch").rglob("*.py")
    }
    assert modules <= set(wheel.namelist())


def test_every_template_of_a_new_plugin_is_in_the_wheel(wheel):
    folder = ROOT / "mixpanel_fetch" / "cli" / "templates"
    templates = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert len(templates) == 14
    assert templates <= set(wheel.namelist())


def test_the_metadata_says_licence_and_python(wheel):
    text = wheel.read(f"mixpanel_fetch-{__version__}.dist-info/METADATA").decode()
    assert "License-Expression: MIT" in text
    assert "License-File: LICENSE" in text
    assert "Requires-Python: >=3.10" in text


def test_built_ins_are_entry_points_of_our_own_distribution():
    ours = entry_points(group="mixpanel_fetch")
    names = {entry.name for entry in ours if entry.dist.name == "mixpanel-fetch"}
    assert names == {"duckdb", "gevent-pool", "jsonl", "parquet", "sequential", "shape"}


def test_both_commands_are_installed():
    scripts = {entry.name for entry in distribution("mixpanel-fetch").entry_points}
    assert scripts >= {"mp", "mixpanel-fetch"}


def test_pyproject_holds_the_build_system_only():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[build-system]"]


def test_every_dependency_has_a_lower_bound():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    requirements = parser["options"]["install_requires"].split("\n")
    assert all(">=" in line for line in requirements if line)
