"""What is built: sdist and wheel of every distribution, with all that belongs into them.

``tox -e release`` runs this upon the files that are to be published, in the folder that
``MP_TEST_DIST`` names; otherwise they are built here.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

from mixpanel_fetch import __version__

ROOT = Path(__file__).parents[1]
CORE = "mixpanel-fetch"
PLUGINS = {
    path.name: path for path in (ROOT / "plugins").iterdir() if (path / "setup.cfg").exists()
}
SOURCES = {CORE: ROOT, **PLUGINS}


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def said_by(folder):
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read(folder / "setup.cfg")
    return parser


def version_of(name):
    given = said_by(SOURCES[name])["metadata"]["version"]
    return __version__ if given == "attr: mixpanel_fetch._version.__version__" else given


def files_under(folder, *suffixes):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in suffixes
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder of what is built."""
    if os.environ.get("MP_TEST_DIST"):
        return Path(os.environ["MP_TEST_DIST"])
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__")
    for name, source in SOURCES.items():
        shutil.copytree(source, folder / name, ignore=ignored)
        # The isolated way is the one of `tox -e release`, and of tox whenever it builds.
        run(*(sys.executable, "-m", "build", "--no-isolation"),
            *("--outdir", folder / "dist", folder / name))  # fmt: skip
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel_of(dist):
    def find(name):
        (path,) = dist.glob(f"{name.replace('-', '_')}-{version_of(name)}-*.whl")
        return path

    return find


@pytest.fixture(scope="module")
def wheel(wheel_of):
    with zipfile.ZipFile(wheel_of(CORE)) as archive:
        yield archive


def test_each_distribution_has_one_sdist_and_one_wheel_and_twine_takes_them(dist):
    built = sorted(path.name for path in dist.iterdir())
    stems = [f"{name.replace('-', '_')}-{version_of(name)}" for name in SOURCES]
    assert built == sorted(
        name for stem in stems for name in (f"{stem}.tar.gz", f"{stem}-py3-none-any.whl")
    )
    run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    folders = {name.split("/")[0] for name in wheel.namelist()}
    ours = {"mixpanel_fetch", "_mixpanel_fetch_pytest.py"}
    assert folders == {*ours, f"mixpanel_fetch-{__version__}.dist-info"}
    assert "mixpanel_fetch/py.typed" in wheel.namelist()


def test_every_module_is_in_the_wheel(wheel):
    modules = files_under(ROOT / "mixpanel_fetch", ".py")
    assert {f"mixpanel_fetch/{name}" for name in modules} <= set(wheel.namelist())


def test_every_template_and_page_is_in_the_wheel(wheel):
    others = {
        name
        for name in files_under(ROOT / "mixpanel_fetch", ".tmpl", ".html", ".css", ".js", ".json")
        if not name.startswith(".")
    }
    assert sum(name.endswith(".tmpl") for name in others) == 14
    assert {f"mixpanel_fetch/{name}" for name in others} <= set(wheel.namelist())


def test_the_sdist_holds_the_wheels_files_and_what_explains_them(dist, wheel):
    with tarfile.open(dist / f"mixpanel_fetch-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} <= names
    assert {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "setup.cfg"} <= names


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugins_wheel_holds_its_modules_and_its_entry_point(wheel_of, name):
    module = name.replace("-", "_")
    with zipfile.ZipFile(wheel_of(name)) as archive:
        names = set(archive.namelist())
        said = archive.read(f"{module}-{version_of(name)}.dist-info/entry_points.txt").decode()
    parts = files_under(PLUGINS[name], ".py", ".typed")
    assert {part for part in parts if part.startswith(module)} <= names
    assert {part.split("/")[0] for part in names} == {
        f"{module}.py" if (PLUGINS[name] / f"{module}.py").exists() else module,
        f"{module}-{version_of(name)}.dist-info",
    }
    assert re.search(rf"\[mixpanel_fetch\]\n\w+ = {module}\n", said)


@pytest.mark.parametrize("name", SOURCES)
def test_the_metadata_says_what_it_is_for_whom_and_under_which_licence(wheel_of, name):
    folder = f"{name.replace('-', '_')}-{version_of(name)}.dist-info"
    with zipfile.ZipFile(wheel_of(name)) as archive:
        said = message_from_string(archive.read(f"{folder}/METADATA").decode())
    assert (said["Name"], said["Version"]) == (name, version_of(name))
    assert (said["License-Expression"], said["Requires-Python"]) == ("MIT", ">=3.10")
    assert said["Summary"]
    assert said.get_payload().strip()
    assert name != CORE or said["License-File"] == "LICENSE"


def test_the_wheel_works_in_an_environment_of_its_own(wheel_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "uv", "pip", "install", "--python", python, wheel_of(CORE))
    for command in ("mp", "mixpanel-fetch"):
        assert run(folder / "bin" / command, "--version").split()[-1] == __version__
    listed = run(folder / "bin" / "mp", "plugins", "list")
    assert " broken" not in listed
    assert "duckdb" in listed


def test_the_changelog_tells_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", text, re.MULTILINE)
    assert headings
    assert headings[0][0] == __version__
    if os.environ.get("MP_TEST_DIST"):  # what is about to be published has a date
        assert headings[0][1] != "unreleased"


def test_built_ins_are_entry_points_of_our_own_distribution():
    ours = entry_points(group="mixpanel_fetch")
    names = {entry.name for entry in ours if entry.dist.name == "mixpanel-fetch"}
    assert names == {
        *("duckdb", "executors", "gevent-pool", "jsonl", "parquet", "sequential", "shape"),
    }


def test_both_commands_are_installed():
    scripts = {entry.name for entry in distribution("mixpanel-fetch").entry_points}
    assert scripts >= {"mp", "mixpanel-fetch"}


def test_pyproject_holds_the_build_system_only():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[build-system]"]


@pytest.mark.parametrize("name", SOURCES)
def test_every_dependency_has_a_lower_bound(name):
    said = said_by(SOURCES[name])
    extras = said["options.extras_require"] if said.has_section("options.extras_require") else {}
    texts = [said["options"]["install_requires"], *dict(extras).values()]
    needed = [line for text in texts for line in text.split("\n") if line]
    assert [one for one in needed if ">=" not in one and one != CORE] == []
