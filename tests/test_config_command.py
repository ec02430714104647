"""``mp config``: which settings count, and where each comes from."""

from __future__ import annotations

import json

import pytest

from mixpanel_fetch.config_file import default_config_path

FILE = """
default = "prod"
region = "in"

[accounts.prod]
username = "svc"
secret = "hunter2"
project_id = 7

[accounts.old]
api_secret = "hunter2"
destination = "postgresql://u:hunter2@h/db"

[plugins.duckdb]
threads = 2

[plugins.gone]
pepper = "hunter2"
"""


@pytest.fixture(autouse=True)
def file(monkeypatch, tmp_path):
    path = tmp_path / "mp.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    monkeypatch.setenv("MP_CONFIG", str(path))
    return path


@pytest.fixture
def shown(mp):
    """Return the rows of ``mp config show``: value and source by setting, then the plugins'."""

    def show(*arguments):
        done = mp("config", "show", *arguments)
        assert (done.code, done.err) == (0, "")
        assert "hunter2" not in done.out
        document = json.loads(done.out)
        return (
            {row["setting"]: (row["value"], row["from"]) for row in document["settings"]},
            {(row["plugin"], row["option"]): row for row in document["plugins"]},
            document,
        )

    return show


def test_each_setting_comes_with_its_source(shown, file, monkeypatch):
    monkeypatch.setenv("MP_WORKSPACE_ID", "8")
    settings, _, document = shown()
    assert settings == {
        "username": ("svc", "file [accounts.prod]"),
        "secret": ("***", "file [accounts.prod]"),
        "project_id": ("7", "file [accounts.prod]"),
        "region": ("in", "file"),
        "workspace_id": ("8", "MP_WORKSPACE_ID"),
        "api_secret": (None, None),
        "api_base_url": (None, None),
        "destination": ("duckdb:///mixpanel.duckdb", "default"),
    }
    assert (document["file"], document["file_exists"]) == (str(file), True)
    assert document["account"] == {"name": "prod", "from": "file", "left_out": False}


def test_what_is_shown_is_what_a_fetch_would_use(shown, monkeypatch):
    monkeypatch.setenv("MP_USERNAME", "env")
    monkeypatch.setenv("MP_SECRET", "hunter2")
    settings, _, document = shown()
    assert settings["username"] == ("env", "MP_USERNAME")
    assert settings["secret"] == ("***", "MP_SECRET")
    assert settings["project_id"] == (None, None)
    assert document["account"]["left_out"]
    named, _, _ = shown("--account", "prod")
    assert named["username"] == ("svc", "file [accounts.prod]")


def test_a_secret_within_a_value_is_hidden(mp):
    done = mp("config", "show", "--account", "old")
    assert "hunter2" not in done.out + done.err
    assert "postgresql://***@h/db" in done.out


def test_a_secret_in_the_keyring_is_told_and_not_asked_for(shown, file, ring):
    ring.locked = True
    file.write_text("[accounts.a]\nusername = 'u'\nkeyring = 'entry'\n")
    settings, _, _ = shown("--account", "a")
    assert settings["secret"] == ("***", "keyring entry")


def test_options_of_plugins_come_with_their_source(shown, monkeypatch):
    monkeypatch.setenv("MP_PLUGIN_DUCKDB_MEMORY_LIMIT", "1GB")
    monkeypatch.setenv("MP_PLUGIN_NOBODY_KNOWS", "hunter2")
    _, options, document = shown()
    assert options["duckdb", "threads"]["value"] == 2
    assert options["duckdb", "threads"]["from"] == "file [plugins.duckdb]"
    assert options["duckdb", "memory_limit"]["value"] == "1GB"
    assert options["duckdb", "memory_limit"]["from"] == "MP_PLUGIN_DUCKDB_MEMORY_LIMIT"
    assert options["gone", "pepper"]["value"] == "***"
    assert "no plugin takes" in options["gone", "pepper"]["from"]
    assert document["plugins"][-1] == {
        "plugin": None,
        "option": None,
        "value": "***",
        "from": "MP_PLUGIN_NOBODY_KNOWS",
    }


def test_the_text_is_a_table_for_people(mp, file):
    done = mp("config", "show", "--format", "text")
    lines = done.out.splitlines()
    assert lines[:3] == [f"Configuration file: {file}", "Account: prod (the file's default)", ""]
    assert lines[3].split() == ["SETTING", "VALUE", "FROM"]
    assert "workspace_id" in done.out
    assert "(not set)" in done.out
    assert "hunter2" not in done.out


def test_warnings_about_the_settings_go_to_stderr(mp, file):
    file.chmod(0o644)
    assert "chmod 600" in mp("config", "show").err


def test_a_file_that_is_wrong_is_one_line(mp, file):
    file.write_text("regoin = 'eu'\n")
    done = mp("config", "show")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "regoin: unknown field" in done.err


def test_the_path_is_printed_plain(mp, file, monkeypatch):
    assert mp("config", "path").out == f"{file}\n"
    monkeypatch.delenv("MP_CONFIG")
    assert mp("config", "path").out == f"{default_config_path()}\n"


def test_without_a_file_the_defaults_are_shown(shown, monkeypatch):
    monkeypatch.delenv("MP_CONFIG")
    settings, options, document = shown()
    assert settings["region"] == ("us", "default")
    assert (options, document["account"], document["file_exists"]) == ({}, None, False)
