"""The fixtures that every test has, and the strategies for hypothesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from hypothesis import given, settings

import mixpanel_fetch.testing
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, PluginError, TableExistsError
from mixpanel_fetch.hookspecs import TransformSpec
from mixpanel_fetch.testing import SinkCase, hypotheses, land, make_run, refusal

from .memory import MemoryEngine, Store, case_of

pytest_plugins = ["pytester"]


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


def test_a_run_has_what_is_asked_for_and_an_id_of_its_own():
    one, other = make_run("merge", table="users", total_pages=3), make_run()
    assert (one.mode, one.table, one.total_pages) == ("merge", "users", 3)
    assert (other.mode, other.table, other.total_pages) == ("create", "profiles", 1)
    assert one.run_id != other.run_id


def test_pages_land_in_one_call_and_the_engine_is_closed(make_batch):
    store, closed = Store(), []

    class Watched(MemoryEngine):
        def close(self):
            closed.append(True)
            super().close()

    pages = {0: make_batch("a"), 1: make_batch("b", "c")}
    report = land(Watched(store), pages, make_run(total_pages=2))
    assert report.total_rows == 3
    assert len(store.read("profiles")) == 3
    assert closed
    closed.clear()
    with pytest.raises(TableExistsError):
        land(Watched(store), pages, make_run(total_pages=2))
    assert closed


def raising(error):
    raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TableExistsError("no"), "ConfigError was expected, not TableExistsError"),
        (ConfigError(""), "says nothing"),
        (ConfigError("two\nlines"), "one line"),
        (ConfigError("a\x1b[1mbold"), "must be printable"),
        (ConfigError("x" * 401), "must be short, not 401 characters"),
        (ConfigError("the hunter2"), "must show no secret"),
    ],
)
def test_a_refusal_is_looked_at(error, words):
    with pytest.raises(AssertionError, match=words):
        refusal(raising, error, secrets=["hunter2"])
    assert refusal(raising, ConfigError("no such thing"), secrets=["hunter2"]) == "no such thing"
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refusal(int)


def test_an_environment_is_cleaned_for_one_test(pytester, monkeypatch):
    for name in ("MP_SECRET", "MP_TEST_MINE", "https_proxy"):
        monkeypatch.setenv(name, "theirs")
    pytester.makeini("[pytest]\nusefixtures = clean_environment\n")
    pytester.makepyfile(
        """
        import os
        from pathlib import Path

        def test_environment():
            assert {"MP_SECRET", "https_proxy"} & {*os.environ} == set()
            assert os.environ["MP_TEST_MINE"] == "theirs"
            places = [Path(os.environ[f"XDG_{name}_HOME"]) for name in ("CONFIG", "CACHE")]
            assert [list(place.iterdir()) for place in places] == [[], []]
        """
    )
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error")
    outcome.assert_outcomes(passed=1)
    assert os.environ["MP_SECRET"] == "theirs"


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
