"""Executors as plugins: registered, listed, shown, and given their options."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mixpanel_fetch import ExecutorSpec, PluginError, hookimpl
from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.cli.completion.types import EXECUTOR
from mixpanel_fetch.config import load_settings
from mixpanel_fetch.defaults.processes import Processes
from mixpanel_fetch.plugins import default_host

PLUGIN = """
from concurrent.futures import ThreadPoolExecutor
from marshmallow import Schema, fields
from mixpanel_fetch.hookspecs import ExecutorSpec, hookimpl

class Options(Schema):
    scheduler = fields.String(required=True, metadata={"description": "where the cluster is"})

class Far(ThreadPoolExecutor):
    def __init__(self, max_workers, scheduler):
        super().__init__(max_workers)
        self.given = (max_workers, scheduler)

@hookimpl
def register_executors():
    yield ExecutorSpec("far", Far, Options, "on another machine")
"""

CARELESS = """
from concurrent.futures import Future
from mixpanel_fetch.defaults.processes import Processes
from mixpanel_fetch.hookspecs import ExecutorSpec, hookimpl

class Careless(Processes):
    ended = False

    def submit(self, fn, /, *args, **kwargs):
        return Future() if self.ended else super().submit(fn, *args, **kwargs)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.ended = True
        super().shutdown(wait, cancel_futures=cancel_futures)

@hookimpl
def register_executors():
    yield ExecutorSpec("careless", Careless)
"""


@pytest.fixture
def far(tmp_path):
    file = tmp_path / "far.py"
    file.write_text(PLUGIN)
    return file


def test_the_built_in_ones_are_ordinary_plugins():
    host = default_host()
    with host.executor("threads").make(max_workers=2, options={}) as executor:
        assert executor.submit(int, "7").result() == 7
    assert host.executor("threads").provider.plugin == "executors"
    assert isinstance(host.executor("processes").make(max_workers=1, options={}), Processes)


def test_options_come_from_the_user_the_environment_and_the_file(far, plugin_host, monkeypatch):
    assembler = Assembler(plugin_host(files=[far]), load_settings())
    with assembler.executor("far", 3, {"scheduler": "tcp://127.0.0.1:1"}) as executor:
        assert executor.given == (3, "tcp://127.0.0.1:1")
    with pytest.raises(PluginError, match=r"options of the executor far .*scheduler"):
        assembler.executor("far", 3, {})
    with pytest.raises(PluginError, match="no plugin of this run has an option 'oops'"):
        assembler.executor("far", 3, {"oops": "1"})
    monkeypatch.setenv("MP_CONFIG", str(far.with_suffix(".toml")))
    far.with_suffix(".toml").write_text('[plugins.far]\nscheduler = "tcp://127.0.0.1:2"\n')
    assembler = Assembler(plugin_host(files=[far]), load_settings())
    with assembler.executor("far", 1, {}) as executor:
        assert executor.given == (1, "tcp://127.0.0.1:2")


def test_an_executor_is_listed_and_shown(far, mp):
    listed = json.loads(mp("plugins", "list", "--json", "--plugin", far).out)
    found = {one["name"]: one["about"] for one in listed if one["kind"] == "executor"}
    assert found["far"] == "on another machine"
    assert {"threads", "processes"} <= set(found)
    shown = mp("plugins", "show", "far", "--plugin", far)
    assert shown.code == 0
    assert "far, an executor: on another machine" in shown.out
    assert "written       mp fetch many --executor far\n" in shown.out
    assert "scheduler: text, required" in shown.out
    assert mp("plugins", "show", "threads", "--kind", "executor").code == 0
    wrong = mp("plugins", "show", "threads", "--kind", "sink").err
    assert "no sink is called 'threads'; there is an executor of that name" in wrong


def test_the_example_of_the_documentation_works(projects, tmp_path, mp):
    page = (Path(__file__).parents[2] / "docs/authors/executors.md").read_text()
    (tmp_path / "paced.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    jobs = projects(2).write_jobs()
    words = ["--plugin", tmp_path / "paced.py", "--executor", "paced", "-o", "seconds=0.01"]
    done = mp("fetch", "many", jobs, *words, "--format", "text")
    assert (done.code, done.out.count(": done: 300 rows")) == (0, 2)
    wrong = mp("fetch", "many", jobs, *words[:-1], "seconds=soon")
    assert (wrong.code, wrong.err.count("\n")) == (3, 1)
    assert "options of the executor paced (paced.py): seconds" in wrong.err


def test_a_shell_completes_their_names():
    assert [one.value for one in EXECUTOR.shell_complete(None, None, "thr")] == ["threads"]


def test_the_kit_checks_an_executor_of_other_processes(tmp_path, mp):
    file = tmp_path / "careless.py"
    file.write_text(CARELESS)
    done = mp("plugins", "check", "careless", "--plugin", file)
    assert (done.code, done.err) == (1, "")
    failed = [line.split(":")[1].strip() for line in done.out.splitlines() if "FAILED" in line]
    assert failed == ["submit must raise an error after shutdown"]
    assert "no worker of it may be killed" in done.out
    wrong = mp("plugins", "check", "careless", "--plugin", file, "--to", "x://y")
    assert "--to is for a sink, and this is an executor" in wrong.err


def test_what_registers_something_else_is_refused(plugin_host):
    class Wrong:
        @hookimpl
        def register_executors(self):
            return [ThreadPoolExecutor(1)]

    with pytest.raises(PluginError, match=r"register_executors returned .* not a ExecutorSpec"):
        plugin_host(Wrong())


def test_a_spec_is_a_plugin_for_tests(plugin_host):
    host = plugin_host(ExecutorSpec("mine", ThreadPoolExecutor))
    assert host.executor("mine").spec.factory is ThreadPoolExecutor
