"""From the names a user gives to a plan, with real plugin files."""

from __future__ import annotations

import threading

import pytest

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.config import load_settings
from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.hookspecs import BaseEngine
from mixpanel_fetch.model import Credentials, ProfileQuery
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.plugins import PluginHost, default_host
from mixpanel_fetch.tolerance import Tolerance

PLUGIN = '''
from marshmallow import INCLUDE, Schema, fields
from mixpanel_fetch import BaseEngine, Batch, SinkSpec, StrategySpec, TransformSpec, hookimpl
from mixpanel_fetch.tolerance import Tolerance

class Made:
    """What a factory was called with."""
    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options
    def __call__(self, batch):
        return batch

class Warning(Made):
    warnings = ("fewer workers",)

class Capable(Made):
    capabilities = {"replace"}

class Based(BaseEngine):
    def __init__(self, location): ...

class Limit(Schema):
    limit = fields.Integer(load_default=5)

class Keyed(Schema):
    key = fields.String()
    limit = fields.Integer()

class Open(Schema):
    class Meta:
        unknown = INCLUDE
    port = fields.Integer()

def refuse(*arguments, **options):
    raise ValueError("it cannot be")

@hookimpl
def register_strategies():
    return [StrategySpec("pool", Warning, Limit), StrategySpec("plain", Made)]

@hookimpl
def register_transforms():
    return [
        TransformSpec("hash", Made, Keyed),
        TransformSpec("keep", Made),
        TransformSpec("refuse", refuse),
    ]

@hookimpl
def register_sinks():
    return [
        SinkSpec("plain", Made),
        SinkSpec("limited", Made, Limit, capabilities=frozenset({"append"})),
        SinkSpec("capable", Capable, capabilities=frozenset({"append"})),
        SinkSpec("based", Based, capabilities=frozenset({"append"})),
        SinkSpec("pg", Made, Open),
        SinkSpec("refuse", refuse),
    ]
'''


@pytest.fixture
def assemble(tmp_path):
    """Make the plan of a request whose plugins are those above."""
    file = tmp_path / "kit.py"
    file.write_text(PLUGIN)
    host = PluginHost([file], installed=False)

    def make(destination="plain://x", *, settings=None, **request):
        wanted = FetchRequest(**{"table": "profiles", "strategy": "plain", **request})
        return Assembler(host, settings).plan(wanted, destination)

    return make


# Requests


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"table": ""}, "name"),
        ({"table": "  "}, "name"),
        ({"mode": "upsert"}, "'upsert'; it is one of create, append, replace, merge"),
        ({"max_workers": 0}, "workers must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_a_request_that_cannot_be_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        FetchRequest(**{"table": "t", **given})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "sequential"),
        ({"parallel": True}, "gevent-pool"),
        ({"strategy": "mine"}, "mine"),
        ({"strategy": "mine", "parallel": True}, "mine"),
    ],
)
def test_parallel_stands_for_a_strategy_unless_one_is_named(given, name):
    assert FetchRequest("t", **given).strategy_name == name


# Plans


def test_a_plan_carries_the_request(assemble):
    cancel, called = threading.Event(), []
    query = ProfileQuery("a")
    plan = assemble(
        mode="merge",
        query=query,
        paging=Paging(7),
        batch_size=8,
        tolerance=Tolerance(partial=True, missing=3),
        cancel=cancel,
        on_batch_complete=called.append,
    )
    assert (plan.table, plan.mode, plan.query) == ("profiles", "merge", query)
    assert (plan.paging.size, plan.batch_size) == (7, 8)
    assert plan.tolerance == Tolerance(partial=True, missing=3)
    assert plan.cancel is cancel
    assert plan.on_batch_complete == called.append
    assert plan.host is not None


def test_the_default_plugins_are_found_where_nothing_else_is_said(tmp_path):
    assembler = Assembler()
    assert assembler.host is default_host()
    plan = assembler.plan(FetchRequest("t"), f"jsonl:///{tmp_path}/out.jsonl")
    assert plan.strategy_label.startswith("the strategy sequential (mixpanel-fetch ")


def test_a_strategy_gets_the_workers_and_its_warnings_are_the_plans(assemble):
    plan = assemble(strategy="pool", max_workers=9)
    assert plan.strategy.options == {"max_workers": 9, "limit": 5}
    assert plan.warnings == ("fewer workers",)
    assert plan.strategy_label == "the strategy pool (kit.py)"
    assert assemble().strategy.options == {"max_workers": 5}  # the contract's default


def test_a_sink_gets_its_location_and_the_options_of_the_uri(assemble):
    plan = assemble("limited:///a/b%20c?limit=7")
    assert plan.sink.engine.arguments == ("a/b%20c",)
    assert plan.sink.engine.options == {"limit": 7}


def test_the_label_of_a_sink_holds_no_secret(assemble):
    plan = assemble("pg://u:hunter2@h/db?password=hunter2&port=1")
    assert plan.sink.label == "pg://***@h/db?password=***&port=1"
    assert plan.sink.engine.arguments == ("u:hunter2@h/db",)
    assert plan.sink.engine.options == {"password": "hunter2", "port": 1}


@pytest.mark.parametrize(
    ("sink", "capabilities"),
    [
        ("plain", set()),
        ("limited", {"append"}),
        ("capable", {"replace"}),  # the engine's own word counts
        ("based", {"append"}),
    ],
)
def test_a_sinks_capabilities_are_the_engines_or_else_the_specs(assemble, sink, capabilities):
    assert assemble(f"{sink}://x").sink.capabilities == capabilities


class Engine(BaseEngine):
    capabilities = frozenset({"append"})
    label = "mine"


def test_an_engine_of_the_callers_own_is_used_as_it_is(assemble):
    engine = Engine()
    sink = assemble(engine).sink
    assert (sink.engine, sink.label, sink.capabilities) == (engine, "mine", {"append"})
    assert sink.registered is None


def test_an_engine_that_says_nothing_of_itself_is_asked_in_each_mode(assemble):
    sink = assemble(object()).sink
    assert (sink.label, sink.capabilities) == ("object", {"append", "replace", "merge"})


# Transforms


def test_transforms_come_in_the_users_order(assemble):
    plan = assemble(transforms=["keep", "hash:a,b:c", "keep:"])
    assert [one.label for one in plan.transforms] == ["keep", "hash:a,b:c", "keep:"]
    assert [one.function.arguments for one in plan.transforms] == [(None,), ("a,b:c",), ("",)]


def test_a_callable_is_a_transform(assemble):
    def nothing(batch):
        return None

    class Instance:
        def __call__(self, batch):
            return batch

    named, instance, plugin = assemble(transforms=[nothing, Instance(), "keep"]).transforms
    assert named.label.endswith("nothing")
    assert instance.label == "Instance"
    assert named(Batch(["a"], [b"{}"], [None])) == Batch()
    assert plugin.registered is not None


def identity(assemble, transform="hash:a", **more):
    (one,) = assemble(transforms=[transform], **more).transforms
    return one.identity


def test_the_identity_of_a_transform_follows_argument_options_and_version(assemble):
    assert identity(assemble) == identity(assemble)
    assert "kit.py" in identity(assemble)
    different = {
        identity(assemble),
        identity(assemble, "hash:b"),
        identity(assemble, "keep:a"),
        identity(assemble, options={"limit": "5"}),
        identity(assemble, options={"limit": "6"}),
    }
    assert len(different) == 5


def test_the_identity_of_a_transform_never_holds_a_key(assemble):
    # goes into the fingerprint, that is into the sink's metadata.
    options = {"key": "hunter2"}
    assert "hunter2" not in identity(assemble, options=options)
    plan = assemble(transforms=["hash:a"], options=options)
    settings = ClientSettings(Credentials(api_secret="x"))
    assert "hunter2" not in str(plan.fingerprint(settings, 1000))


def test_a_transform_may_say_what_else_tells_it_apart(assemble):
    class Keyed:
        def __init__(self, identity):
            self.identity = identity

        def __call__(self, batch):
            return batch

    one, other = (assemble(transforms=[Keyed(key)]).transforms[0] for key in ("key 1", "key 2"))
    assert one.identity != other.identity


def test_the_identity_of_a_transform_differs_with_its_key(assemble):
    one, other = (identity(assemble, options={"key": key}) for key in ("first", "second"))
    assert one != other


# Options


def test_an_option_goes_to_each_plugin_that_knows_it(assemble):
    plan = assemble("limited://x", strategy="pool", transforms=["hash"], options={"limit": "3"})
    (transform,) = plan.transforms
    assert plan.strategy.options["limit"] == 3
    assert plan.sink.engine.options["limit"] == 3
    assert transform.function.options == {"limit": 3}


def test_a_dotted_option_goes_to_the_plugin_of_that_name_alone(assemble):
    plan = assemble("limited://x", strategy="pool", options={"pool.limit": "3"})
    assert plan.strategy.options["limit"] == 3
    assert plan.sink.engine.options["limit"] == 5


def test_a_dotted_option_is_not_for_a_plugin_that_takes_anything(assemble):
    # strategy, for which alone it was meant, does not see it.
    options = {"pool.limit": "3", "pg.port": "5"}
    plan = assemble("pg://x", strategy="pool", options=options)
    assert plan.strategy.options["limit"] == 3
    assert plan.sink.engine.options == {"port": 5}


def test_a_plugin_that_takes_anything_gets_what_no_other_knows(assemble):
    plan = assemble("pg://x", strategy="pool", options={"sslmode": "require", "port": "5"})
    assert plan.sink.engine.options == {"sslmode": "require", "port": 5}


@pytest.mark.parametrize("key", ["limt", "pool.limt", "nobody.limit", "plain.limit", "."])
def test_an_option_that_no_plugin_of_the_run_knows_is_refused(assemble, key):
    with pytest.raises(PluginError, match="no plugin of this run has an option") as caught:
        assemble("limited://x", strategy="pool", options={key: "1"})
    assert key in str(caught.value)


def test_the_uri_beats_the_command_line_beats_the_environment_beats_the_file(assemble, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[plugins.limited]\nlimit = 1\n[plugins.pool]\nlimit = 2\n")
    environ = {"MP_PLUGIN_POOL_LIMIT": "3"}
    settings = load_settings(environ=environ, path=file)

    def limits(uri="limited://x", **more):
        plan = assemble(uri, strategy="pool", settings=settings, **more)
        return plan.sink.engine.options["limit"], plan.strategy.options["limit"]

    assert limits() == (1, 3)
    assert limits(options={"limit": "4"}) == (4, 4)
    assert limits("limited://x?limit=5", options={"limit": "4"}) == (5, 4)


# Refusals


@pytest.mark.parametrize(
    ("destination", "given", "error", "words"),
    [
        ("nothing://x", {}, PluginError, "no sink is called 'nothing'"),
        ("x.duckdb", {}, ConfigError, "is no URI"),
        ("plain://x", {"strategy": "fast"}, PluginError, "no strategy is called 'fast'"),
        ("plain://x", {"transforms": ["hsh:a"]}, PluginError, "no transform is called 'hsh'"),
        ("plain://x?a=b", {}, PluginError, r"the sink plain \(kit\.py\) takes no option 'a'"),
        ("limited://x?a=b", {}, PluginError, "a: unknown field"),
        ("limited://x?limit=b", {}, PluginError, "limit: not a valid integer"),
        ("refuse://x", {}, ConfigError, r"the sink refuse \(kit\.py\): it cannot be"),
        ("plain://x", {"transforms": ["refuse"]}, ConfigError, r"the transform refuse \(kit\.py\)"),
    ],
)
def test_what_cannot_be_assembled_is_refused_in_one_line(
    assemble, destination, given, error, words
):
    with pytest.raises(error, match=words) as caught:
        assemble(destination, **given)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
