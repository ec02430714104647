"""What docs/ says is so: the reference follows the code, and the tutorial runs."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pluggy
import pytest

from mixpanel_fetch import hookspecs, protocols
from mixpanel_fetch.cli.app import app
from mixpanel_fetch.simulator import SimulatorProcess

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "authors/tutorial.md").read_text(encoding="utf-8")
EVOLUTION = (DOCS / "authors/evolution.md").read_text(encoding="utf-8")
HOOKS = (DOCS / "authors/hooks.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
FILES = re.findall(r"Save this as\s`([\w.]+)`:\n\n```python\n(.*?)^```$", TUTORIAL, re.S | re.M)
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.S | re.M)


def reference():
    spec = importlib.util.spec_from_file_location("docs_reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section_of(page, title):
    """Return what stands below a heading, up to the next one."""
    match = re.search(rf"^#+ `{re.escape(title)}`\n(.*?)(?=^#+ |\Z)", page, re.S | re.M)
    assert match, f"`{title}` is not documented; run: python docs/reference.py"
    return match[1]


def signature_of(function):
    return str(inspect.signature(function)).replace("'", "")


# The reference


@pytest.mark.parametrize("name", ["authors/hooks.md", "cli.md"])
def test_a_page_is_what_the_code_says(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == reference().PAGES[name](), (
        f"docs/{name} is not what the code says; run: python docs/reference.py"
    )


def test_every_hook_stands_there_with_its_signature():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    hooks = [name for name in dir(manager.hook) if not name.startswith("_")]
    assert len(hooks) >= 6
    for name in hooks:
        function = getattr(hookspecs, name)
        section = section_of(HOOKS, name)
        assert f"def {name}{signature_of(function)}\n" in section
        assert inspect.cleandoc(function.__doc__).splitlines()[0].replace("``", "`") in section


PROTOCOLS = [one for one in vars(protocols).values() if inspect.isclass(one)]
PROTOCOLS = [one for one in PROTOCOLS if one.__module__ == protocols.__name__]


@pytest.mark.parametrize(
    "kind",
    [*PROTOCOLS, hookspecs.BaseEngine, hookspecs.BaseLoad],
    ids=lambda kind: kind.__name__,
)
def test_every_method_of_a_protocol_stands_there_with_its_signature(kind):
    section_of(HOOKS, kind.__name__)
    methods = [one for one in vars(kind).values() if inspect.isfunction(one)]
    for method in methods:
        if not method.__name__.startswith("_") and method.__module__ == kind.__module__:
            section = section_of(HOOKS, f"{kind.__name__}.{method.__name__}")
            assert f"def {method.__name__}{signature_of(method)}\n" in section


def test_every_field_of_what_hooks_register_stands_there():
    for kind in (hookspecs.SinkSpec, hookspecs.TransformSpec, hookspecs.StrategySpec):
        section = section_of(HOOKS, kind.__name__)
        for name, annotation in kind.__annotations__.items():
            assert f"    {name}: {annotation}" in section
    for capability in hookspecs.CAPABILITIES:
        assert f"'{capability}'" in section_of(HOOKS, "CAPABILITIES")


def commands_of(group, *path):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands_of(command, *path, name)


EVERY_COMMAND = {" ".join(path): command for path, command in commands_of(app, "mp")}


@pytest.mark.parametrize("path", EVERY_COMMAND)
def test_every_command_and_option_stands_there(path):
    command, section = EVERY_COMMAND[path], section_of(CLI, path)
    assert command.help.splitlines()[0] in section
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert len(rows) == len(options)
    for option, row in zip(options, rows, strict=True):
        for written in (*option.opts, *option.secondary_opts):
            assert f"`{written}`" in row
        assert (option.help or "").replace("|", "\\|") in row
        if isinstance(option.type, click.Choice):
            assert "\\|".join(option.type.choices) in row


def test_only_commands_that_there_are_stand_there():
    documented = set(re.findall(r"^#+ `(mp [\w -]+)`$", CLI, re.M))
    assert documented == set(EVERY_COMMAND)


# The tutorial


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The tutorial, done: a folder with its files, and what its commands said."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, code in FILES:
        (folder / name).write_text(code, encoding="utf-8")
    scripts = Path(sys.executable).parent
    with SimulatorProcess(profiles=2500) as simulator:
        settings = {
            "MP_API_BASE_URL": simulator.base_url,
            "MP_USERNAME": "demo",
            "MP_SECRET": "demo-secret",
            "MP_PROJECT_ID": "12345",
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-euc", "\n".join(COMMANDS)],
            cwd=folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        order = [request.page for request in simulator.stats.requests]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return folder, done.stdout, order


def test_nothing_of_the_tutorial_is_left_out():
    assert [name for name, _ in FILES] == [
        "my_sink.py",
        "my_transform.py",
        "my_strategy.py",
        "test_my_sink.py",
        "test_my_sink_alone.py",
    ]
    assert TUTORIAL.count("```python") == len(FILES)
    assert len(COMMANDS) == 7


def test_the_sink_is_a_dozen_lines_or_so():
    (code,) = (code for name, code in FILES if name == "my_sink.py")
    (body,) = re.findall(r"^class .*?(?=^@)", code, re.S | re.M)
    assert len([line for line in body.splitlines() if line.strip()]) <= 14


def test_the_tutorials_sink_stores_every_profile(tutorial):
    folder, out, _ = tutorial
    rows = json.loads((folder / "profiles.json").read_text(encoding="utf-8"))
    assert len({row["distinct_id"] for row in rows}) == 2500
    assert "json-file, a sink: one JSON array in a file" in out


def test_the_tutorials_transform_changes_the_property(tutorial):
    folder, _, _ = tutorial
    before, after = (
        {row["distinct_id"]: row for row in json.loads((folder / name).read_text(encoding="utf-8"))}
        for name in ("profiles.json", "upper.json")
    )
    assert set(before) == set(after)
    for identity, row in before.items():
        plan = row["properties"].get("plan")
        changed = {**row["properties"], **({"plan": plan.upper()} if plan else {})}
        assert after[identity] == {**row, "properties": changed}
    assert {row["properties"].get("plan") for row in after.values()} & {"FREE", "PRO"}


def test_the_tutorials_strategy_begins_with_the_last_page(tutorial):
    _, out, order = tutorial
    assert order[-3:] == [0, 2, 1]
    assert "backwards: true or false, default false" in out


def test_the_tutorials_plugins_pass_the_kit(tutorial):
    _, out, _ = tutorial
    assert len(re.findall(r"^\d+ passed, \d+ skipped", out, re.M)) == 1
    assert re.search(r"^1 passed in", out, re.M)
    for plugin in ("sink json-file", "transform upper-case", "strategy one-by-one"):
        assert f"the {plugin} (" in out
    assert "FAILED" not in out
    assert "was not checked" not in out


def test_the_tutorials_distribution_is_there(tutorial):
    folder, _, _ = tutorial
    new = folder / "mixpanel-fetch-hello"
    assert (new / "setup.cfg").is_file()
    # What the page tells to do with it: tests/test_generated_plugins.py does that, installed.
    assert "tests/test_hello.py:read_rows" in TUTORIAL
    assert (new / "tests" / "test_hello.py").is_file()


# The rest


def test_the_number_of_the_api_is_the_one_there_is():
    assert f"`mixpanel_fetch.hookspecs.API_VERSION` is {hookspecs.API_VERSION}." in EVOLUTION
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", EVOLUTION, re.S | re.M)
    found = {}
    exec(snippet, found)
    assert found["has_it"] is (hookspecs.API_VERSION >= 2)


def anchors_of(text):
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(file.read_text(encoding="utf-8"))
