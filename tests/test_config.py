"""Settings: defaults < file < environment < arguments."""

from __future__ import annotations

import os
import string
import sys
import traceback
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mixpanel_fetch.config import (
    DEFAULT_DESTINATION,
    Destination,
    default_config_path,
    load_settings,
    options_for,
    parse_option,
)
from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.secret import Secret

unhurried = hypothesis_settings(max_examples=50, deadline=None, database=None)

FILE = """
username = "file"
secret = "file-secret"
project_id = 1
region = "eu"
destination = "jsonl://file"

[accounts.prod]
username = "prod"
secret = "prod-secret"
project_id = "2"

[accounts.old]
api_secret = "old-secret"

[plugins.duckdb]
memory_limit = "1GB"
threads = 2
"""


@pytest.fixture(autouse=True)
def no_file_of_this_machine(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("MP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def file_of(tmp_path):
    def write(text=FILE, mode=0o600, path=tmp_path / "config.toml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


# Precedence


def test_without_anything_there_is_a_default_destination_and_no_account():
    settings = load_settings(environ={})
    assert settings.destination == DEFAULT_DESTINATION
    assert settings.api_base_url is None
    assert settings.warnings == ()
    with pytest.raises(ConfigError, match="no credentials"):
        settings.credentials()


def test_each_source_beats_the_one_before(file_of):
    environ = {"MP_CONFIG": str(file_of()), "MP_USERNAME": "env", "MP_REGION": "in"}
    account = load_settings(environ=environ, region="us").credentials()
    assert (account.project_id, account.username, account.region) == ("1", "env", "us")


def test_every_environment_variable_counts():
    environ = {
        "MP_USERNAME": "u",
        "MP_SECRET": "s",
        "MP_PROJECT_ID": "7",
        "MP_REGION": "eu",
        "MP_WORKSPACE_ID": "8",
        "MP_API_SECRET": "a",
        "MP_API_BASE_URL": "http://localhost:1",
        "MP_DESTINATION": "jsonl://-",
    }
    settings = load_settings(environ=environ)
    account = settings.credentials()
    assert (account.username, account.secret, account.project_id) == ("u", Secret("s"), "7")
    assert (account.region, account.workspace_id) == ("eu", "8")
    assert account.api_secret == Secret("a")
    assert (settings.api_base_url, settings.destination) == ("http://localhost:1", "jsonl://-")


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("MP_DESTINATION", "jsonl://from-environment")
    assert load_settings().destination == "jsonl://from-environment"


def test_what_is_empty_or_not_given_beats_nothing(file_of):
    settings = load_settings(environ={"MP_CONFIG": str(file_of()), "MP_USERNAME": ""}, region=None)
    account = settings.credentials()
    assert (account.username, account.region) == ("file", "eu")


def test_a_path_beats_the_environments_file(file_of, tmp_path):
    other = file_of("username = 'other'", path=tmp_path / "other.toml")
    settings = load_settings(environ={"MP_CONFIG": str(file_of())}, path=other)
    assert settings.account["username"] == "other"


def test_the_default_file_counts_where_it_is(file_of):
    file_of("destination = 'jsonl://default'", path=default_config_path())
    assert load_settings(environ={}).destination == "jsonl://default"


# Accounts


def test_a_named_account_stands_on_the_top_level(file_of):
    account = load_settings("prod", environ={}, path=file_of()).credentials()
    assert (account.username, account.project_id, account.region) == ("prod", "2", "eu")
    assert account.secret == Secret("prod-secret")


def test_an_unknown_account_is_refused_by_naming_those_there_are(file_of):
    with pytest.raises(ConfigError, match="'test' in the configuration file; known: old, prod"):
        load_settings("test", environ={}, path=file_of())
    with pytest.raises(ConfigError, match="known: none"):
        load_settings("test", environ={})


def test_a_project_secret_warns_that_it_retires(file_of):
    settings = load_settings(environ={"MP_API_SECRET": "x"})
    assert "2027-03-03" in " ".join(settings.warnings)
    assert load_settings(environ={"MP_API_SECRET": "x"}, username="u", secret="s").warnings == ()


def test_an_account_that_an_argument_names_beats_the_environment(file_of):
    environ = {"MP_USERNAME": "env", "MP_SECRET": "env-secret", "MP_PROJECT_ID": "9"}
    account = load_settings("prod", environ=environ, path=file_of()).credentials()
    assert (account.username, account.secret) == ("prod", Secret("prod-secret"))
    assert account.project_id == "2"


def test_what_a_named_account_does_not_say_comes_from_the_environment(file_of):
    environ = {"MP_REGION": "in", "MP_WORKSPACE_ID": "8"}
    account = load_settings("prod", environ=environ, path=file_of()).credentials()
    assert (account.region, account.workspace_id) == ("in", "8")


@pytest.mark.parametrize(
    ("account", "environ"),
    [
        ("user", {"MP_USERNAME": "env", "MP_SECRET": "env-secret"}),
        ("user", {"MP_API_SECRET": "env-secret"}),
        ("old", {"MP_USERNAME": "env", "MP_SECRET": "env-secret", "MP_PROJECT_ID": "9"}),
    ],
)
def test_secrets_of_two_accounts_are_never_mixed(file_of, account, environ):
    path = file_of(FILE + "\n[accounts.user]\nusername = 'user'\n")
    known = load_settings(account, environ=environ, path=path).account
    assert "env-secret" not in [each.reveal() for each in known.values() if type(each) is Secret]
    assert known.get("username") != "env"


def test_an_account_with_a_project_secret_leaves_the_top_levels_user_out(file_of):
    account = load_settings("old", environ={}, path=file_of()).credentials()
    assert (account.username, account.secret) == (None, None)
    assert account.api_secret == Secret("old-secret")


def test_the_kind_of_credentials_that_the_environment_brings_counts(file_of):
    account = load_settings(environ={"MP_API_SECRET": "x"}, path=file_of()).credentials()
    assert (account.api_secret, account.username) == (Secret("x"), None)
    own = {"MP_USERNAME": "u", "MP_SECRET": "s"}
    account = load_settings(environ=own, path=file_of("api_secret = 'x'\nproject_id = 1"))
    assert account.credentials().api_secret is None


def test_the_environment_may_name_an_account_and_beats_it(file_of):
    environ = {"MP_ACCOUNT": "prod", "MP_REGION": "in", "MP_SECRET": "s"}
    settings = load_settings(environ=environ, path=file_of())
    account = settings.credentials()
    assert (account.username, account.region, account.secret) == ("prod", "in", Secret("s"))
    assert settings.warnings == ()


def test_an_account_and_a_user_in_the_environment_are_warned_of(file_of):
    environ = {"MP_ACCOUNT": "prod", "MP_USERNAME": "env"}
    (warning,) = load_settings(environ=environ, path=file_of()).warnings
    assert "MP_USERNAME wins over the account that MP_ACCOUNT names" in warning
    assert load_settings("prod", environ=environ, path=file_of()).warnings == ()


DEFAULT = 'default = "prod"\n' + FILE


def test_the_files_default_account_counts_when_nobody_is_named(file_of):
    settings = load_settings(environ={"MP_REGION": "in"}, path=file_of(DEFAULT))
    account = settings.credentials()
    assert (account.username, account.project_id, account.region) == ("prod", "2", "in")
    assert load_settings("old", environ={}, path=file_of(DEFAULT)).selection.name == "old"
    named = load_settings(environ={"MP_ACCOUNT": "old"}, path=file_of(DEFAULT))
    assert named.selection.name == "old"


@pytest.mark.parametrize(
    ("environ", "arguments"),
    [
        ({"MP_USERNAME": "env", "MP_SECRET": "s"}, {}),
        ({}, {"username": "env", "secret": "s"}),
    ],
)
def test_the_default_account_stands_aside_for_another_user(file_of, environ, arguments):
    settings = load_settings(environ=environ, path=file_of(DEFAULT), **arguments)
    account = settings.credentials()
    assert (account.username, account.project_id) == ("env", "1")
    assert settings.selection.ousted


def test_a_user_without_a_secret_does_not_borrow_that_of_the_default_account(file_of):
    path = file_of("default = 'a'\n[accounts.a]\nusername = 'u'\nsecret = 's'\nproject_id = 1")
    with pytest.raises(ConfigError, match="user 'env' has no secret: set MP_SECRET"):
        load_settings(environ={"MP_USERNAME": "env"}, path=path).credentials()


def test_a_default_account_that_is_not_there_is_named(file_of):
    with pytest.raises(ConfigError, match="'gone' in the configuration file; known: a"):
        load_settings(environ={}, path=file_of("default = 'gone'\n[accounts.a]\nregion = 'us'"))


def test_each_setting_knows_where_it_comes_from(file_of):
    environ = {"MP_REGION": "in"}
    settings = load_settings("prod", environ=environ, path=file_of(), api_base_url="http://h")
    assert {name: str(origin) for name, origin in settings.origins.items()} == {
        "username": "file [accounts.prod]",
        "secret": "file [accounts.prod]",
        "project_id": "file [accounts.prod]",
        "region": "MP_REGION",
        "destination": "file",
        "api_base_url": "argument",
    }
    origins = load_settings(environ={}).origins
    assert {str(origins[name]) for name in ("region", "destination")} == {"default"}


# The file


def test_a_file_that_is_named_must_be_there(tmp_path):
    missing = tmp_path / "missing.toml"
    with pytest.raises(ConfigError, match=r"missing\.toml .*is missing"):
        load_settings(environ={"MP_CONFIG": str(missing)})
    with pytest.raises(ConfigError):
        load_settings(environ={}, path=missing)


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the configuration file"):
        load_settings(environ={}, path=tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        'secret = "hunter2',
        'secret = "hunter2"\nsecret = "hunter2"',
        "secret hunter2",
        b'secret = "hunter2\xff"',
        'secret = ["hunter2"]',
        'secret = "x"\nregion = "hunter2"',
        'api_base_url = "hunter2"',
        "[accounts.a]\nsecret = {hunter2 = 1}",
        'accounts = "hunter2"',
        'plugins = "hunter2"',
        'destination = ["hunter2"]',
    ],
)
def test_a_wrong_file_is_one_line_that_quotes_nothing_of_it(file_of, text):
    path = file_of(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"MP_CONFIG": str(path)})
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", ["user = 'u'", "[accounts.a]\nuser = 'u'"])
def test_a_misspelt_setting_is_named(file_of, text):
    with pytest.raises(ConfigError, match="user: unknown field"):
        load_settings(environ={}, path=file_of(text))


posix = pytest.mark.skipif(os.name != "posix", reason="file modes")


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_warned_of(file_of, mode):
    (warning,) = load_settings(environ={}, path=file_of(mode=mode)).warnings
    assert "chmod 600" in warning
    assert "config.toml" in warning


@posix
def test_a_file_of_ones_own_or_without_secrets_warns_of_nothing(file_of):
    assert load_settings(environ={}, path=file_of(mode=0o600)).warnings == ()
    assert load_settings(environ={}, path=file_of("username = 'u'", mode=0o644)).warnings == ()


@posix
@pytest.mark.parametrize(
    "text",
    [
        "[accounts.prod]\nsecret = 's'",
        "[accounts.prod]\napi_secret = 's'",
        "destination = 'postgresql://u:pw@h/db'",
        "[accounts.prod]\ndestination = 'postgresql://u:pw@h/db'",
    ],
)
def test_a_secret_anywhere_in_the_file_is_warned_of(file_of, text):
    warnings = load_settings(environ={}, path=file_of(text, mode=0o644)).warnings
    assert any("chmod 600" in warning for warning in warnings)


# Nothing shows a secret


def test_secrets_are_wrapped_whichever_way_they_come(file_of):
    for settings in (
        load_settings(environ={}, path=file_of()),
        load_settings(environ={"MP_SECRET": "s"}),
        load_settings(environ={}, secret="s"),
        load_settings(environ={}, secret=Secret("s")),
    ):
        assert isinstance(settings.account["secret"], Secret)


def test_the_repr_of_settings_shows_no_account(file_of):
    shown = repr(load_settings("prod", environ={}, path=file_of()))
    assert "secret" not in shown
    assert "prod" not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        {"destination": "postgresql://u:hunter2@h/db"},
        {"destination": "postgresql://h/db?password=hunter2"},
        {"api_base_url": "http://u:hunter2@proxy"},
    ],
)
def test_the_repr_of_settings_shows_no_secret_of_a_uri(arguments):
    assert "hunter2" not in repr(load_settings(environ={}, **arguments))


def test_the_repr_of_settings_shows_no_secret_of_a_plugin(file_of):
    path = file_of("[plugins.hash]\nkey = 'hunter2'")
    environ = {"MP_PLUGIN_HASH_KEY": "hunter2"}
    assert "hunter2" not in repr(load_settings(environ=environ, path=path))


@pytest.mark.parametrize("uri", ["postgresql://u:hunter2@h/db", "x://h?password=hunter2"])
def test_the_repr_of_a_destination_shows_no_secret(uri):
    assert "hunter2" not in repr(Destination.parse(uri))


# Destinations


@pytest.mark.parametrize(
    ("uri", "sink", "location", "options"),
    [
        ("duckdb:///r.db", "duckdb", "r.db", {}),
        ("duckdb:////abs.db", "duckdb", "/abs.db", {}),
        ("duckdb://r.db", "duckdb", "r.db", {}),
        ("jsonl://-", "jsonl", "-", {}),
        ("postgresql://u:p@h/db", "postgresql", "u:p@h/db", {}),
        ("s3+parquet://bucket/k%20y", "s3+parquet", "bucket/k%20y", {}),
        ("duckdb:///a?memory_limit=1GB&x=", "duckdb", "a", {"memory_limit": "1GB", "x": ""}),
        ("duckdb:///a?k=%26%3D%3F", "duckdb", "a", {"k": "&=?"}),
        ("duckdb:///a?k=b?c=d", "duckdb", "a", {"k": "b?c=d"}),
        ("duckdb:///a?k=1&k=2", "duckdb", "a", {"k": "2"}),
        ("duckdb:///a?", "duckdb", "a", {}),
        ("duckdb://", "duckdb", "", {}),
        ("x://y://z", "x", "y://z", {}),
    ],
)
def test_a_destination_is_taken_apart(uri, sink, location, options):
    parsed = Destination.parse(uri)
    assert (parsed.sink, parsed.location, parsed.options) == (sink, location, options)


@pytest.mark.parametrize(
    "uri",
    ["", "profiles.duckdb", "duckdb:/x", "://x", "duckdb:///a?b", "duckdb:///a?b=1&c", "x://y?&"],
)
def test_what_is_no_destination_is_refused_in_one_line(uri):
    with pytest.raises(ConfigError) as caught:
        Destination.parse(uri)
    assert "\n" not in str(caught.value)


def test_what_echoes_a_destination_shows_no_secret():
    assert Destination.parse("pg://u:hunter2@h/db?token=hunter2").label == "pg://***@h/db?token=***"
    for broken in ("u:hunter2@h?password=hunter2", "pg://u:hunter2@h/db?password=hunter2&x"):
        with pytest.raises(ConfigError) as caught:
            Destination.parse(broken)
        assert "password=hunter2" not in str(caught.value)
        assert "://u:hunter2" not in str(caught.value)


words = st.text(string.ascii_lowercase + "/+-. é%&=?", max_size=8)


@unhurried
@given(
    st.text(string.ascii_lowercase + "-+", min_size=1),
    st.text(string.ascii_letters + "/:@.%-_", max_size=20),
    st.dictionaries(words.filter(bool), words, max_size=3),
)
def test_any_destination_comes_back_as_it_was_put_together(sink, location, options):
    query = f"?{urlencode(options)}" if options else ""
    parsed = Destination.parse(f"{sink}:///{location}{query}")
    assert (parsed.sink, parsed.location, parsed.options) == (sink, location, options)


@unhurried
@given(st.text(max_size=40) | words.map(lambda rest: f"x://{rest}"))
def test_no_text_makes_the_parser_raise_anything_else(uri):
    try:
        parsed = Destination.parse(uri)
    except ConfigError:
        return
    assert uri.startswith(f"{parsed.sink}://")


# Options


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a=b", ("a", "b")),
        (" a = b ", ("a", " b ")),
        ("a=", ("a", "")),
        ("a=b=c", ("a", "b=c")),
        ("sink.a=b", ("sink.a", "b")),
    ],
)
def test_an_option_is_taken_apart_at_its_first_equals_sign(text, parts):
    assert parse_option(text) == parts


@pytest.mark.parametrize("text", ["", "a", "=b", " =b"])
def test_what_is_no_option_is_refused(text):
    with pytest.raises(PluginError, match="KEY=VALUE"):
        parse_option(text)


@unhurried
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_option_comes_back_or_is_refused_in_one_line(key, value):
    try:
        assert parse_option(f"{key}={value}") == (
            f"{key}={value}".partition("=")[0].strip(),
            f"{key}={value}".partition("=")[2],
        )
    except PluginError as error:
        assert not key.partition("=")[0].strip()
        assert str(error).isprintable()  # noqa: PT017


def test_the_environment_beats_the_file_for_a_plugins_options(file_of):
    environ = {
        "MP_PLUGIN_DUCKDB_MEMORY_LIMIT": "2GB",
        "MP_PLUGIN_DUCKDB_THREADSX": "9",
        "MP_PLUGIN_GEVENT_POOL_LIMIT": "3",
    }
    settings = load_settings(environ=environ, path=file_of())
    known = {"memory_limit", "threads"}
    assert options_for(settings, "duckdb", known) == {"memory_limit": "2GB", "threads": 2}
    assert options_for(settings, "gevent-pool", {"limit"}) == {"limit": "3"}
    assert options_for(settings, "other", known) == {}


def test_names_that_begin_alike_do_not_share_options():
    environ = {"MP_PLUGIN_S3_FAST_LIMIT": "1"}
    settings = load_settings(environ=environ)
    assert options_for(settings, "s3", {"limit", "fast"}) == {}
    assert options_for(settings, "s3-fast", {"limit"}) == {"limit": "1"}


def test_an_option_may_have_capitals():
    settings = load_settings(environ={"MP_PLUGIN_PG_APPLICATIONNAME": "x"})
    assert options_for(settings, "pg", {"applicationName"}) == {"applicationName": "x"}


def test_handing_options_out_changes_no_settings(file_of):
    settings = load_settings(environ={"MP_PLUGIN_DUCKDB_THREADS": "4"}, path=file_of())
    options_for(settings, "duckdb", {"threads"})["threads"] = "changed"
    assert settings.plugins["duckdb"]["threads"] == 2


# Secrets in the keyring


KEPT = "[accounts.a]\nusername = 'u'\nproject_id = 1\nkeyring = 'entry'\n"


def test_a_secret_may_be_in_the_keyring(file_of, ring):
    ring.set_password("mixpanel-fetch", "entry", "kept")
    settings = load_settings("a", environ={}, path=file_of(KEPT, mode=0o644))
    assert settings.credentials().secret == Secret("kept")
    assert str(settings.origins["secret"]) == "keyring entry"
    assert settings.warnings == ()


def test_without_a_user_the_secret_in_the_keyring_is_the_projects(file_of, ring):
    ring.set_password("mixpanel-fetch", "entry", "kept")
    path = file_of("keyring = 'entry'\n")
    assert load_settings(environ={}, path=path).credentials().api_secret == Secret("kept")


def test_a_keyring_that_is_not_needed_is_not_asked(file_of):
    environ = {"MP_ACCOUNT": "a", "MP_SECRET": "s"}
    assert load_settings(environ=environ, path=file_of(KEPT)).credentials().secret == Secret("s")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda ring: None, "the keyring holds no secret 'entry'"),
        (lambda ring: setattr(ring, "locked", True), "cannot read the keyring: it is locked"),
    ],
)
def test_a_secret_that_the_keyring_will_not_give_is_one_line(file_of, ring, prepare, words):
    prepare(ring)
    with pytest.raises(ConfigError, match=words):
        load_settings("a", environ={}, path=file_of(KEPT)).credentials()


def test_without_the_library_the_way_to_it_is_named(file_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install mixpanel-fetch\[keyring\]"):
        load_settings("a", environ={}, path=file_of(KEPT)).credentials()
