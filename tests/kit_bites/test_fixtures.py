"""The fixtures that every test has, and the strategies for hypothesis."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from hypothesis import given, settings

import mixpanel_fetch.testing
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import PluginError
from mixpanel_fetch.hookspecs import TransformSpec
from mixpanel_fetch.testing import SinkCase, hypotheses

from .memory import Store, case_of


def test_the_pytest_plugin_is_installed_and_imports_nothing_of_the_package():
    (entry,) = (one for one in entry_points(group="pytest11") if one.name == "mixpanel_fetch")
    script = f"import sys, {entry.value}; print(*(m for m in sys.modules if 'mixpanel_fetch' in m))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    # An editable installation has a module of its own that finds the package.
    assert [one for one in done.stdout.split() if "editable" not in one] == [entry.value]


def test_every_name_of_the_kit_is_there():
    for name in mixpanel_fetch.testing.__all__:
        assert getattr(mixpanel_fetch.testing, name) is not None
        assert name in dir(mixpanel_fetch.testing)
    with pytest.raises(AttributeError, match="no attribute 'SinkTest'"):
        mixpanel_fetch.testing.SinkTest  # noqa: B018


def test_a_sink_case_needs_something_to_test():
    with pytest.raises(ValueError, match="needs a destination, or an engine"):
        SinkCase(rows=Store().read)


def test_a_host_of_installed_plugins_and_others(plugin_host, tmp_path):
    spec = TransformSpec("mine", lambda argument: None)
    host = plugin_host(spec)
    assert host.transform("mine").spec is spec
    assert host.sink("duckdb")
    file = tmp_path / "filed.py"
    file.write_text(
        "from mixpanel_fetch import hookimpl, TransformSpec\n"
        "@hookimpl\ndef register_transforms(): return [TransformSpec('filed', print)]\n"
    )
    alone = plugin_host(files=[file], installed=False)
    assert [one.spec.name for one in alone.all()] == ["filed"]
    with pytest.raises(PluginError, match="there is no hook called register_sinkz"):
        plugin_host(Misspelt())


class Misspelt:
    @mixpanel_fetch.hookimpl
    def register_sinkz(self):
        return []


def test_batches_of_ids_and_rows(make_batch):
    batch = make_batch("a", {"distinct_id": "b", "properties": {"plan": "pro"}}, plan="free")
    assert batch == Batch(["a", "b"], [b'{"plan":"free"}', b'{"plan":"pro"}'], [None, None])
    assert make_batch() == Batch()


def test_a_whole_fetch_in_one_line(run_fetch, engage_simulator):
    case = case_of()
    result = run_fetch("memory://up", profiles=12, plugins=[case.spec], page_size=5)
    assert (result.total_rows, len(case.rows("profiles"))) == (12, 12)
    again = run_fetch(
        "memory://up", simulator=engage_simulator(profiles=3), plugins=[case.spec], mode="merge"
    )
    assert (again.inserted, again.updated) == (0, 3)


@settings(max_examples=50, deadline=None)
@given(hypotheses.batches())
def test_batches_by_chance_are_batches(batch):
    rows = list(batch.rows())
    assert all(row["distinct_id"] for row in rows)
    assert Batch.from_rows(rows) == batch


@settings(max_examples=50, deadline=None)
@given(hypotheses.profiles())
def test_profiles_by_chance_can_be_sent(profile):
    assert json.loads(json.dumps(profile)) == profile
