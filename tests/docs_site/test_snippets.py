"""What the documentation shows does what it says: blocks run, configuration is read."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from mixpanel_fetch.config import load_settings

from .pages import DOCS, ROOT, blocks, pages
from .walks import is_run, walk

# The plugins' and the authors' pages, and the README, have tests of their own.
WALKED = [
    page
    for page in pages()
    if page.is_relative_to(DOCS) and page.parent.name not in {"authors", "plugins"}
]
BLOCKS = [block for page in WALKED for block in blocks(page)]


def of(language):
    found = [block for block in BLOCKS if block.language == language]
    assert found
    return pytest.mark.parametrize("block", found, ids=lambda block: block.place)


@pytest.mark.parametrize(
    "page", [page for page in WALKED if any(map(is_run, blocks(page)))], ids=lambda page: page.stem
)
def test_a_page_can_be_walked_through(page, tmp_path):
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    steps = [block for block in blocks(page) if is_run(block)]
    assert not [wrong for _, wrong in walk(steps, folder, home) if wrong]


@of("sh")
def test_shell_parses(block):
    done = subprocess.run(["bash", "-n", "-c", block.code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@of("python")
def test_python_compiles(block):
    compile(block.code, block.place, "exec")


@of("json")
def test_json_is_json(block):
    assert json.loads(block.code)


@of("toml")
def test_toml_is_a_configuration_file(block, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(block.code, encoding="utf-8")
    file.chmod(0o600)
    assert load_settings(environ={}, path=file).warnings == ()


@of("yaml")
def test_a_workflow_names_what_it_runs_on_and_what_it_runs(block):
    workflow = yaml.safe_load(block.code)
    assert workflow[True]["schedule"][0]["cron"] == "15 3 * * *"  # "on", as YAML 1.1 reads it
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])


@of("systemd")
def test_units_are_what_systemd_takes(block, tmp_path):
    command = Path(sys.executable).parent / "mp"
    kind = "timer" if "[Timer]" in block.code else "service"
    unit = tmp_path / f"mixpanel-fetch.{kind}"
    code = block.code.replace("/opt/mixpanel-fetch/bin/mp", str(command))
    unit.write_text(code, encoding="utf-8")
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(code)
    assert parser.sections()[0] == "Unit"
    if shutil.which("systemd-analyze"):
        if kind == "timer":  # it looks for its service
            service = f"[Service]\nType=oneshot\nExecStart={command} --version\n"
            unit.with_suffix(".service").write_text(service, encoding="utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if unit.stem in line]
        assert not said


def test_the_crontab_has_five_fields_and_no_percent_sign():
    (table,) = (block for block in BLOCKS if block.code.startswith("MAILTO="))
    *settings, job = table.code.splitlines()
    assert all(re.fullmatch(r"[A-Z]+=\S+", line) for line in settings)
    assert re.fullmatch(r"([\d*/,-]+ ){5}[^%]+", job)


@of("properties")
def test_an_environment_file_sets_what_there_is(block):
    names = {line.partition("=")[0] for line in block.code.splitlines()}
    assert names == {"MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION"}


@of("sql")
def test_sql_can_be_asked(block):
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"
        )
        database.execute("INSERT INTO profiles VALUES ('a', '{\"plan\": \"pro\"}', now())")
        assert len(database.execute(block.code).fetchall()) == 1


def test_whatever_is_not_run_has_a_reason():
    for block in BLOCKS:
        if block.language in {"sh", "python"} and block.note:
            assert re.fullmatch(
                r"in another terminal|exits with \d+|needs [a-z]+|not run: .{10,}", block.note
            ), block.place


def test_every_page_is_reached_from_the_readme():
    """By links, as a reader on a forge would go; Sphinx sees to its own tables of contents."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = re.findall(r"\]\((?!https?:)([^)#]+\.md)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links]
    assert {page for page in DOCS.rglob("*.md") if "_build" not in page.parts} <= reached
