"""The plugin host, with real files and real installed distributions."""

from __future__ import annotations

import logging
import sys
import textwrap
from datetime import datetime, timezone

import pytest
from marshmallow import EXCLUDE, INCLUDE, Schema, fields

from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, PluginError, StorageError
from mixpanel_fetch.hookspecs import SinkSpec, TransformSpec, hookimpl
from mixpanel_fetch.model import ProfileBatchProgress, ProfileQuery, RunInfo
from mixpanel_fetch.plugins import PluginHost, Provider, Registered, default_host, one_line_of

PROVIDER = Provider("acme", "acme-dist", "1.2")
HEAD = "from mixpanel_fetch import *\n"
RUN = RunInfo(
    "r", "t", "create", ProfileQuery(), "s", 1, 1, 1, (), {},
    datetime(2026, 1, 5, tzinfo=timezone.utc), "x://y",
)  # fmt: skip
PROGRESS = ProfileBatchProgress(0, 1, 1, True)


def sink_named(*names):
    specs = ", ".join(f"SinkSpec({name!r}, object)" for name in names)
    return f"{HEAD}@hookimpl\ndef register_sinks():\n    return [{specs}]\n"


@pytest.fixture(autouse=True)
def modules_as_they_were():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("mixpanel_fetch_plugin_", "plug_")):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module and one entry point for each of ``codes``."""

    def make(distribution, version="1.0", **codes):
        site = tmp_path / f"site-{distribution}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        prefix = f"plug_{distribution.replace('-', '_')}_"
        lines = [f"{name} = {prefix}{name}" for name in codes]
        (info / "entry_points.txt").write_text("\n".join(["[mixpanel_fetch]", *lines, ""]))
        for name, code in codes.items():
            (site / f"{prefix}{name}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))

    return make


@pytest.fixture
def file_of(tmp_path):
    def write(code, name="my_sink.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
        return path

    return write


def reasons(host):
    return {str(one.provider): one.reason for one in host.broken}


# Installed plugins


def test_the_built_in_plugins_are_ordinary_entry_points_of_ours():
    host = PluginHost()
    names = {(one.kind, one.spec.name): one.provider for one in host.all()}
    assert names["strategy", "gevent-pool"].distribution == "mixpanel-fetch"
    assert {("strategy", "sequential"), ("transform", "drop"), ("sink", "jsonl")} <= set(names)
    assert list(names) == sorted(names)


def test_an_installed_plugin_is_found_with_its_distribution_and_version(install):
    install("acme-sinks", "2.5", acme=sink_named("acme"))
    found = PluginHost().sink("acme")
    assert found.provider == Provider("acme", "acme-sinks", "2.5")
    assert str(found) == "the sink acme (acme-sinks 2.5)"


def test_a_host_without_installed_plugins_knows_none(install):
    install("acme-sinks", acme=sink_named("acme"))
    assert PluginHost(installed=False).all() == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        (f"{HEAD}@hookimpl\ndef register_skins(): ...", "no hook called register_skins"),
        (f"{HEAD}@hookimpl\ndef page_completed(page): ...", "page"),
        (f"{HEAD}@hookimpl\ndef register_sinks():\n    return [5]", "5, not a SinkSpec"),
        (f"{HEAD}@hookimpl\ndef register_sinks():\n    return 5", "not iterable"),
        (
            f"{HEAD}@hookimpl\ndef register_sinks():\n    return [StrategySpec('x', object)]",
            "not a SinkSpec",
        ),
        (
            f"{HEAD}@hookimpl\ndef register_transforms():\n    return [SinkSpec('x', object)]",
            "not a TransformSpec",
        ),
        (f"{HEAD}@hookimpl\ndef register_sinks():\n    raise OSError('gone\\nfar')", "gone far"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_breaks_nothing_else(install, code, words):
    install("bad-dist", "0.1", bad=code, good=sink_named("good"))
    host = PluginHost()
    assert words in reasons(host)["bad-dist 0.1"]
    assert "\n" not in reasons(host)["bad-dist 0.1"]
    assert host.sink("good")
    assert host.strategy("sequential")


def test_nothing_of_a_broken_plugin_stays_behind(install):
    install(
        "bad-dist",
        bad=f"{sink_named('half')}\n@hookimpl\ndef register_transforms():\n    return [1]\n"
        "@hookimpl\ndef page_completed(progress):\n    raise SystemExit\n",
    )
    host = PluginHost()
    host.observe("page_completed", progress=PROGRESS, run=RUN)
    with pytest.raises(PluginError, match="no sink is called 'half'"):
        host.sink("half")


def test_an_entry_point_may_name_an_object_or_a_class_in_its_module(tmp_path, install):
    code = """\
from mixpanel_fetch import *
class Plugin:
    @hookimpl
    def register_sinks(self):
        return (SinkSpec(name, object) for name in ("one", "two"))
"""
    install("class-dist", acme=code)
    (points,) = tmp_path.glob("site-class-dist/*/entry_points.txt")
    points.write_text("[mixpanel_fetch]\nacme = plug_class_dist_acme:Plugin\n")
    host = PluginHost()
    assert "class-dist 1.0" not in reasons(host)
    assert str(host.sink("two").provider) == "class-dist 1.0"


def test_two_entry_points_of_one_module_are_one_plugin(tmp_path, install):
    install("acme-sinks", acme=sink_named("acme"))
    (points,) = tmp_path.glob("site-acme-sinks/*/entry_points.txt")
    points.write_text("[mixpanel_fetch]\na = plug_acme_sinks_acme\nb = plug_acme_sinks_acme\n")
    host = PluginHost()
    assert host.sink("acme").provider.plugin == "a"
    assert "acme-sinks 1.0" not in reasons(host)


def test_the_host_of_the_process_is_made_once():
    assert default_host() is default_host()


# Names


def test_an_unknown_name_is_refused_by_naming_those_there_are(install):
    install("acme-sinks", acme=sink_named("zeta", "alpha"))
    with pytest.raises(PluginError, match=r"no sink is called 'alfa'; there are alpha, .*zeta"):
        PluginHost().sink("alfa")


def test_an_unknown_name_says_which_plugins_are_broken(install):
    install("bad-dist", "0.1", alfa="1 / 0")
    with pytest.raises(PluginError, match=r"broken: bad-dist 0\.1 \(ZeroDivisionError: division"):
        PluginHost().sink("alfa")


def test_a_name_is_of_one_kind(install):
    install("acme-sinks", acme=sink_named("sequential"))
    host = PluginHost()
    assert str(host.sink("sequential").provider) == "acme-sinks 1.0"
    assert host.strategy("sequential").provider.distribution == "mixpanel-fetch"


def test_where_there_is_none_of_a_kind_the_line_says_so():
    with pytest.raises(PluginError) as caught:
        PluginHost(installed=False).sink("x")
    assert "there are " not in str(caught.value)


def test_a_name_claimed_twice_matters_when_it_is_used(install):
    install("acme-sinks", "1.1", acme=sink_named("twin", "only-acme"))
    install("bolt-sinks", "2.2", bolt=sink_named("twin", "only-bolt"))
    host = PluginHost()
    assert host.sink("only-acme")
    assert host.sink("only-bolt")
    with pytest.raises(PluginError) as caught:
        host.sink("twin")
    assert "acme-sinks 1.1 and bolt-sinks 2.2" in str(caught.value)


def test_a_file_that_claims_an_installed_name_is_a_claim_too(install, file_of):
    install("acme-sinks", "1.1", acme=sink_named("twin"))
    host = PluginHost([file_of(sink_named("twin"))])
    with pytest.raises(PluginError, match=r"acme-sinks 1\.1 and my_sink\.py"):
        host.sink("twin")


# Files


def test_a_file_is_a_plugin(file_of):
    host = PluginHost([str(file_of(sink_named("mine")))], installed=False)
    assert str(host.sink("mine")) == "the sink mine (my_sink.py)"


def test_a_file_may_hold_dataclasses_and_what_is_pickled(file_of):
    code = (
        "from __future__ import annotations\nimport pickle\nfrom dataclasses import dataclass\n"
        "from mixpanel_fetch import SinkSpec, hookimpl\n"
        "@dataclass\nclass Box:\n    n: int\n"
        "assert pickle.loads(pickle.dumps(Box(1))) == Box(1)\n"
        "@hookimpl\ndef register_sinks():\n    return [SinkSpec('mine', Box)]\n"
    )
    assert PluginHost([file_of(code)], installed=False).sink("mine").spec.factory(3).n == 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("1 / 0", "cannot load the plugin .*my_sink.py: ZeroDivisionError"),
        ("import sys; sys.exit('bye')", "cannot load the plugin .*my_sink.py: SystemExit: bye"),
        ("def broken(:", "SyntaxError"),
        (f"{HEAD}@hookimpl\ndef nothing(): ...", "the plugin my_sink: there is no hook called"),
    ],
)
def test_a_broken_file_is_an_error_because_it_was_asked_for(file_of, code, words):
    with pytest.raises(PluginError, match=words) as caught:
        PluginHost([file_of(code)], installed=False)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["missing.py", "plugin.txt", "folder.py"])
def test_what_is_no_python_file_is_said_to_be_none(tmp_path, name):
    (tmp_path / "plugin.txt").write_text("x = 1")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(PluginError, match="no such Python file"):
        PluginHost([tmp_path / name], installed=False)


def test_two_files_of_one_name_in_two_folders_are_two_plugins(file_of):
    files = [file_of(sink_named("a"), "a/sink.py"), file_of(sink_named("b"), "b/sink.py")]
    host = PluginHost(files, installed=False)
    assert {one.spec.name for one in host.all()} == {"a", "b"}


def test_a_file_given_twice_is_loaded_once_or_refused_in_a_readable_line(file_of):
    file = file_of(sink_named("mine"))
    try:
        host = PluginHost([file, file], installed=False)
    except PluginError as error:
        assert len(str(error)) < 200  # noqa: PT017
    else:
        assert host.sink("mine")


# Plugin objects


class Acme:
    @hookimpl
    def register_sinks(self):
        return [SinkSpec("acme", dict)]

    @hookimpl
    def register_transforms(self):
        return None


def test_an_object_or_a_class_can_be_registered():
    for plugin in (Acme, Acme()):
        host = PluginHost(installed=False)
        host.register(plugin, PROVIDER)
        assert host.sink("acme").provider is PROVIDER
        assert len(host.all()) == 1


def test_an_object_registered_twice_counts_once():
    host, plugin = PluginHost(installed=False), Acme()
    host.register(plugin, PROVIDER)
    host.register(plugin, Provider("again", "again"))
    assert host.sink("acme").provider is PROVIDER


def test_a_plugin_that_registers_nothing_is_a_plugin():
    host = PluginHost(installed=False)
    host.register(object(), PROVIDER)
    assert host.all() == []


def test_an_optional_hook_that_this_host_lacks_is_no_fault():
    class Newer(Acme):
        @hookimpl(optionalhook=True)
        def table_published(self, table):
            raise AssertionError

    host = PluginHost(installed=False)
    host.register(Newer(), PROVIDER)
    assert host.sink("acme")


def test_a_class_that_cannot_be_made_is_a_plugin_error():
    class Broken:
        def __init__(self):
            raise OSError("no license")

    with pytest.raises(PluginError, match="no license"):
        PluginHost(installed=False).register(Broken, PROVIDER)


EXITS_LATE = f"{HEAD}@hookimpl\ndef register_sinks():\n    raise SystemExit(4)\n"


def test_a_file_that_exits_in_a_hook_is_a_plugin_error(file_of):
    with pytest.raises(PluginError, match="SystemExit"):
        PluginHost([file_of(EXITS_LATE)], installed=False)


def test_nothing_of_a_plugin_that_exits_in_a_hook_stays_behind(install):
    install("bad-dist", bad=EXITS_LATE)
    host = PluginHost()
    assert "SystemExit" in reasons(host)["bad-dist 1.0"]
    assert not any("bad-dist" in name for name, _ in host.manager.list_name_plugin())


# Observers


class Watching:
    def __init__(self, error=None):
        self.seen, self.error = [], error

    @hookimpl
    def page_completed(self, progress):
        self.seen.append(progress)
        if self.error:
            raise self.error

    @hookimpl
    def run_completed(self, run, result):
        self.seen.append((run, result))
        if self.error:
            raise self.error


def test_an_observer_gets_the_arguments_it_names():
    host, watching = PluginHost(installed=False), Watching()
    host.register(watching, PROVIDER)
    host.observe("page_completed", progress=PROGRESS, run=RUN)
    host.observe("run_completed", result="the result", run=RUN)
    assert watching.seen == [PROGRESS, (RUN, "the result")]


def test_an_observer_that_raises_is_logged_once_and_disturbs_no_other(caplog):
    host = PluginHost(installed=False)
    bad, good = Watching(OSError("disk\nfull")), Watching()
    host.register(good, Provider("good", "good-dist"))
    host.register(bad, Provider("bad", "bad-dist"))
    with caplog.at_level(logging.WARNING, "mixpanel_fetch"):
        for _ in range(3):
            host.observe("page_completed", progress=PROGRESS, run=RUN)
        host.observe("run_completed", result=None, run=RUN)
    assert len(good.seen) == len(bad.seen) == 4
    (message,) = caplog.messages
    assert "bad-dist" in message
    assert "OSError: disk full" in message


def test_two_observers_that_raise_are_logged_once_each(caplog):
    host = PluginHost(installed=False)
    for name in ("one", "two"):
        host.register(Watching(KeyError(name)), Provider(name, f"{name}-dist"))
    host.observe("page_completed", progress=PROGRESS, run=RUN)
    host.observe("page_completed", progress=PROGRESS, run=RUN)
    assert len(caplog.messages) == 2


# Factories and options


class Options(Schema):
    limit = fields.Integer(load_default=5)
    name = fields.String()


class Open(Schema):
    class Meta:
        unknown = INCLUDE

    limit = fields.Integer()


class Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


def registered(factory=dict, options=None):
    return Registered("sink", SinkSpec("acme", factory, options), PROVIDER)


def test_a_factory_gets_its_arguments_and_checked_options():
    made = registered(lambda *args, **options: (args, options), Options).make(
        "here", options={"limit": "7", "name": "n"}, extra=1
    )
    assert made == (("here",), {"extra": 1, "limit": 7, "name": "n"})


def test_a_schema_may_take_any_option():
    assert registered(dict, Open).make(options={"limit": "7", "sslmode": "require"}) == {
        "limit": 7,
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        (None, {"b": "1", "a": "2"}, r"the sink acme \(acme-dist 1\.2\) takes no option 'a'"),
        (Options, {"limt": "1"}, r"options of the sink acme \(acme-dist 1\.2\): limt: unknown"),
        (Options, {"limit": "many"}, "limit: not a valid integer"),
        (Open, {"limit": "many", "x": "y"}, "limit: not a valid integer"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_3(options, given, words):
    with pytest.raises(PluginError, match=words) as caught:
        registered(dict, options).make(options=given)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("options", "option", "known"),
    [
        (None, "limit", False),
        (Options, "limit", True),
        (Options, "limt", False),
        (Open, "anything", True),
        (Lenient, "anything", False),
    ],
)
def test_a_plugin_says_which_options_it_accepts(options, option, known):
    assert registered(dict, options).accepts(option) is known


def test_an_option_is_known_by_the_name_that_its_schema_gives_it():
    class Renamed(Schema):
        memory_limit = fields.String(data_key="memory-limit")

    assert registered(dict, Renamed).accepts("memory-limit")


def raising(error):
    def factory(**options):
        raise error

    return registered(factory)


@pytest.mark.parametrize(
    ("error", "kind", "code", "line"),
    [
        (ValueError("bad\nplace"), ConfigError, 3, ": bad place"),
        (OSError(28, "No space"), PluginError, 1, "failed: OSError: [Errno 28] No space"),
        (RuntimeError(), PluginError, 1, "failed: RuntimeError"),
    ],
)
def test_a_factory_that_fails_is_named_with_its_distribution_and_version(error, kind, code, line):
    with pytest.raises(kind) as caught:
        raising(error).make(options={})
    assert str(caught.value).startswith("the sink acme (acme-dist 1.2)")
    assert str(caught.value).endswith(line)
    assert caught.value.exit_code == code
    assert caught.value.__cause__ is error


def test_a_factory_that_fails_shows_no_secret_of_its_message():
    with pytest.raises(PluginError) as caught:
        raising(OSError("no route to postgresql://u:hunter2@h/db")).make(options={})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("error", [ConfigError("no place"), StorageError("full")])
def test_what_a_factory_raises_of_ours_passes_as_it_is(error):
    with pytest.raises(MixpanelFetchError) as caught:
        raising(error).make(options={})
    assert caught.value is error


def test_a_factory_that_wants_other_arguments_is_a_fault_of_the_plugin():
    plugin = Registered("transform", TransformSpec("t", lambda: None), PROVIDER)
    with pytest.raises(PluginError, match=r"the transform t \(acme-dist 1\.2\) failed: TypeError"):
        plugin.make("argument", options={})


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n  b\tc"), "ValueError: a b c"),
        (ValueError(), "ValueError"),
        (ConfigError("what\nto do"), "what to do"),
        (SystemExit(2), "SystemExit: 2"),
    ],
)
def test_an_exception_is_one_line(error, line):
    assert one_line_of(error) == line


@pytest.mark.parametrize(
    ("provider", "text"),
    [(PROVIDER, "acme-dist 1.2"), (Provider("p", "file.py"), "file.py")],
)
def test_a_provider_reads_as_distribution_and_version(provider, text):
    assert str(provider) == text
