"""The accounts in the configuration file: stored, chosen, removed, and nobody else's to read."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from mixpanel_fetch.accounts import AccountStore
from mixpanel_fetch.config_file import default_config_path
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.shared_files import SharedFiles

USER = {"username": "svc", "project_id": "7", "region": "eu"}
SECRET = Secret("hunter2")


@pytest.fixture
def store(tmp_path):
    return AccountStore(tmp_path / "folder" / "config.toml")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_account_makes_the_file_and_is_its_default(store):
    assert store.add("prod", USER, SECRET) == "file"
    file = store.read()
    assert (file.accounts, file.default) == (("prod",), "prod")
    assert file.document["accounts"]["prod"] == {**USER, "secret": "hunter2"}
    assert (mode_of(store.path), mode_of(store.path.parent)) == (0o600, 0o700)
    assert [one.name for one in store.path.parent.iterdir()] == ["config.toml"]


def test_the_second_account_changes_no_default(store):
    store.add("prod", USER, SECRET)
    store.add("test", USER, SECRET)
    assert store.read().default == "prod"
    store.use("test")
    assert store.read().default == "test"


def test_an_account_does_not_take_the_place_of_credentials_at_the_top_level(store):
    store.path.parent.mkdir()
    store.path.write_text("username = 'u'\nsecret = 's'\n")
    store.add("prod", USER, SECRET)
    assert store.read().default is None


def test_a_project_secret_is_called_that(store):
    store.add("old", {"region": "us"}, SECRET)
    assert store.read().document["accounts"]["old"] == {"region": "us", "api_secret": "hunter2"}


def test_an_existing_account_is_replaced_only_when_told_to(store):
    store.add("prod", USER, SECRET)
    with pytest.raises(ConfigError, match="an account 'prod' already; --replace"):
        store.add("prod", {}, Secret("x"))
    store.add("prod", {"username": "other"}, Secret("x"), replace=True)
    assert store.read().document["accounts"] == {"prod": {"username": "other", "secret": "x"}}


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 65, "a\nb", "[a]"])
def test_a_name_that_would_make_trouble_is_refused(store, name):
    with pytest.raises(ConfigError, match="letters, digits"):
        store.add(name, USER, SECRET)
    assert not store.path.exists()


def test_removing_the_default_account_leaves_no_default(store):
    store.add("prod", USER, SECRET)
    store.add("test", USER, SECRET)
    store.remove("prod")
    assert (store.read().accounts, store.read().default) == (("test",), None)
    assert "hunter2" not in store.path.read_text().partition("[accounts.test]")[0]


@pytest.mark.parametrize("method", ["use", "remove"])
def test_an_account_that_is_not_there_is_named_with_those_that_are(store, method):
    with pytest.raises(ConfigError, match="known: none; `mp auth add NAME` adds one"):
        getattr(store, method)("gone")
    store.add("prod", USER, SECRET)
    with pytest.raises(ConfigError, match="'gone' in the configuration file; known: prod"):
        getattr(store, method)("gone")


# The file is nobody else's


def test_a_file_with_secrets_is_closed_to_others(store):
    store.path.parent.mkdir()
    store.path.write_text("# mine\n")
    store.path.chmod(0o644)
    store.add("prod", USER, SECRET)
    assert mode_of(store.path) == 0o600
    store.path.chmod(0o640)
    store.use("prod")
    assert mode_of(store.path) == 0o600


def test_a_file_without_secrets_keeps_its_mode(store):
    store.path.parent.mkdir()
    store.path.write_text("[accounts.a]\nusername = 'u'\n")
    store.path.chmod(0o640)
    store.use("a")
    assert mode_of(store.path) == 0o640


def test_the_text_is_never_open_to_others_on_its_way(store, monkeypatch):
    seen = []
    sync = os.fsync

    def look(descriptor):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0)
    try:
        store.add("prod", USER, SECRET)
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_a_link_stays_a_link(store, tmp_path):
    target = tmp_path / "dotfiles" / "config.toml"
    target.parent.mkdir()
    target.write_text("# mine\n")
    store.path.parent.mkdir()
    store.path.symlink_to(target)
    store.add("prod", USER, SECRET)
    assert store.path.is_symlink()
    assert target.read_text().startswith('default = "prod"\n\n# mine\n')
    assert mode_of(target) == 0o600


def test_a_write_that_fails_is_one_line_and_leaves_the_file(store, monkeypatch):
    store.add("prod", USER, SECRET)
    before = store.path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot write the configuration file .*No space left"):
        store.add("test", USER, SECRET)
    assert store.path.read_bytes() == before
    assert [one.name for one in store.path.parent.iterdir()] == ["config.toml"]


def test_a_file_that_is_wrong_is_not_written_to(store):
    store.path.parent.mkdir()
    store.path.write_text("regoin = 'eu'\n")
    with pytest.raises(ConfigError, match="regoin: unknown field"):
        store.add("prod", USER, SECRET)
    assert store.path.read_text() == "regoin = 'eu'\n"


def test_accounts_added_at_once_are_all_kept(store):
    program = (
        "import sys; from pathlib import Path\n"
        "from mixpanel_fetch.accounts import AccountStore\n"
        "from mixpanel_fetch.secret import Secret\n"
        "store = AccountStore(Path(sys.argv[1]))\n"
        "for n in range(5): store.add(f'{sys.argv[2]}{n}', {'username': 'u'}, Secret('s'))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(store.path), letter])
        for letter in "abc"
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert sorted(store.read().accounts) == [f"{a}{n}" for a in "abc" for n in range(5)]


def test_a_lock_that_cannot_be_had_is_one_line(store, monkeypatch):
    def never(*_):
        raise TimeoutError(110, "another process holds the lock")

    monkeypatch.setattr(SharedFiles, "try_lock", never)
    with pytest.raises(ConfigError, match=r"cannot write .*: another process holds the lock"):
        store.add("prod", USER, SECRET)


# The keyring


def entries(ring):
    return {
        name: text for (service, name), text in ring.kept.items() if service == "mixpanel-fetch"
    }


def test_the_secret_goes_into_the_keyring_where_there_is_one(store, ring):
    assert store.add("prod", USER, SECRET) == "keyring"
    entry = f"prod ({store.path})"
    assert entries(ring) == {entry: "hunter2"}
    assert store.read().document["accounts"]["prod"] == {**USER, "keyring": entry}
    assert "hunter2" not in store.path.read_text()
    store.remove("prod")
    assert entries(ring) == {}


def test_in_the_default_file_the_entry_has_the_accounts_name(ring):
    AccountStore(default_config_path()).add("prod", USER, SECRET)
    assert entries(ring) == {"prod": "hunter2"}


def test_the_keyring_can_be_left_out(store, ring):
    assert store.add("prod", USER, SECRET, keyring=False) == "file"
    assert entries(ring) == {}


def test_a_keyring_that_is_locked_is_left_out(store, ring):
    ring.locked = True
    assert store.add("prod", USER, SECRET) == "file"
    assert store.read().document["accounts"]["prod"]["secret"] == "hunter2"


def test_a_secret_that_moves_to_the_file_leaves_the_keyring(store, ring):
    store.add("prod", USER, SECRET)
    store.add("prod", USER, Secret("other"), replace=True, keyring=False)
    assert entries(ring) == {}
    assert store.read().document["accounts"]["prod"] == {**USER, "secret": "other"}


@pytest.mark.parametrize(("there", "left"), [(False, set()), (True, {"hunter2"})])
def test_a_write_that_fails_leaves_the_keyring_as_it_was(store, ring, monkeypatch, there, left):
    if there:
        store.add("prod", USER, SECRET)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError):
        store.add("prod", USER, Secret("other"), replace=True)
    assert set(entries(ring).values()) == left


def test_without_the_library_the_secret_goes_into_the_file(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert store.add("prod", USER, SECRET) == "file"
    store.remove("prod")
    assert store.read().accounts == ()
