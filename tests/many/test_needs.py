"""What a job has to itself: its project, and its place in the destination."""

from __future__ import annotations

import pytest

from mixpanel_fetch import BaseEngine
from mixpanel_fetch.jobneeds import needs_of
from mixpanel_fetch.jobs import Job

WHO = {"username": "u", "secret": "s", "project_id": 7}


@pytest.fixture(autouse=True)
def accounts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(
        '[accounts.one]\nusername = "u"\nsecret = "s"\nproject_id = 7\n'
        '[accounts.two]\nusername = "v"\nsecret = "t"\nproject_id = 7\nregion = "us"\n'
        '[accounts.there]\nusername = "u"\nsecret = "s"\nproject_id = 7\nregion = "eu"\n'
        '[accounts.other]\nusername = "u"\nsecret = "s"\nproject_id = 8\n'
        'destination = "duckdb:///other.duckdb"\n'
        '[accounts.old]\napi_secret = "s"\n'
    )
    path.chmod(0o600)
    monkeypatch.setenv("MP_CONFIG", str(path))


def shared(one, other, table="t"):
    """What two jobs cannot have at once, by kind."""
    a = needs_of(Job("a", "t", connection=one))
    b = needs_of(Job("b", table, connection=other))
    return {need[0] for need in a & b}


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        ({"account": "one"}, {"account": "two"}, {"project", "destination"}),
        ({"account": "one"}, {"account": "other"}, set()),
        ({"account": "one"}, {"account": "there"}, {"destination"}),
        ({"account": "one"}, {**WHO, "project_id": "7"}, {"project", "destination"}),
        ({"account": "one"}, {**WHO, "api_base_url": "http://127.0.0.1:9"}, {"destination"}),
        ({"account": "one"}, {"account": "old"}, {"destination"}),
        ({"account": "old"}, {"account": "old"}, {"account", "destination"}),
        ({"account": "one"}, {"account": "one", "destination": "jsonl:///x"}, {"project"}),
    ],
)
def test_a_project_is_one_whoever_asks_for_it(one, other, kinds):
    assert shared(one, other, "u") == kinds


@pytest.mark.parametrize("spelling", ["duckdb:///./w.duckdb", "duckdb:///w.duckdb?read_only=1"])
def test_a_file_is_one_place_however_it_is_spelled(spelling):
    one = {"account": "one", "destination": "duckdb:///w.duckdb"}
    assert shared(one, {"account": "other", "destination": spelling}, "u") == {"destination"}


def test_the_name_stands_for_an_account_that_only_the_worker_knows():
    assert needs_of(Job("a", "t", connection={"account": "far"})) == {("account", "far")}
    assert shared({"account": "far"}, {"account": "far"}, "u") == {"account"}
    assert shared({"account": "far"}, {"account": "farther"}, "u") == set()
    file = {"destination": "duckdb:///w.duckdb"}
    assert shared({"account": "far", **file}, {"account": "farther", **file}) == {"destination"}


def test_the_place_in_a_sink_that_takes_several_runs_is_the_table(tmp_path):
    plugin = tmp_path / "lake.py"
    plugin.write_text(
        "from mixpanel_fetch.hookspecs import BaseEngine, SinkSpec, hookimpl\n"
        "@hookimpl\n"
        "def register_sinks():\n"
        "    yield SinkSpec('lake', lambda location: BaseEngine(), None, '',"
        " frozenset({'concurrent'}))\n"
    )
    one = {"account": "one", "destination": "lake:///l", "plugins": (plugin,)}
    other = {**one, "account": "other"}
    assert shared(one, other, "u") == set()
    assert shared(one, other, "t") == {"destination"}


def test_an_engine_is_a_place(tmp_path):
    class Several(BaseEngine):
        capabilities = frozenset({"concurrent"})

    for engine, kinds in [(BaseEngine(), {"engine"}), (Several(), set())]:
        one = {"account": "one", "destination": engine}
        assert shared(one, {**one, "account": "other"}, "u") == kinds
        assert shared(one, {"account": "other", "destination": type(engine)()}) == set()


@pytest.mark.parametrize("destination", ["nowhere", "none://x", "duckdb:///x?oops=1", "a:\0"])
def test_what_is_wrong_with_a_job_is_not_told_here(destination):
    assert len(needs_of(Job("a", "t", connection={"destination": destination}))) >= 1
