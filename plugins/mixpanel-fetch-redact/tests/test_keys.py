from __future__ import annotations

import sys
from types import ModuleType

import pytest
from mixpanel_fetch_redact import make_hash
from mixpanel_fetch_redact.hashing import HashOptions

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.errors import ConfigError, PluginError

LONG = "a password that is long enough to be one"


class Keyring(ModuleType):
    """What the package ``keyring`` offers, and what its entries are."""

    def __init__(self, entries: dict[tuple[str, str], str], broken: bool = False) -> None:
        super().__init__("keyring")
        self.entries, self.broken = entries, broken
        self.errors = ModuleType("keyring.errors")
        self.errors.KeyringError = type("KeyringError", (Exception,), {})

    def get_password(self, service: str, user: str) -> str | None:
        if self.broken:
            raise self.errors.KeyringError("locked")
        return self.entries.get((service, user))


@pytest.fixture
def keyring(monkeypatch):
    """Put a keyring in place of an installed one."""

    def make(**state) -> None:
        module = Keyring(**state)
        monkeypatch.setitem(sys.modules, "keyring", module)
        monkeypatch.setitem(sys.modules, "keyring.errors", module.errors)

    return make


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_without_a_key_the_error_says_what_to_set(monkeypatch, value) -> None:
    monkeypatch.delenv("MP_REDACT_KEY")
    if value is not None:
        monkeypatch.setenv("MP_REDACT_KEY", value)
    with pytest.raises(
        ConfigError, match=r"set the environment variable MP_REDACT_KEY to at least"
    ):
        make_hash("$email")


def test_a_key_that_is_too_short_is_refused_and_not_shown(monkeypatch) -> None:
    monkeypatch.setenv("OTHER", "k3y-too-short" + " " * 40)
    with pytest.raises(
        ConfigError, match="too short: set the environment variable OTHER"
    ) as caught:
        make_hash("$email", key_env="OTHER")
    assert "k3y" not in str(caught.value)


def test_blanks_around_a_key_are_no_part_of_it(apply, monkeypatch, key) -> None:
    before = apply(make_hash("a"), b'{"a":"x"}')
    monkeypatch.setenv("FROM_A_FILE", f"{key}\n")
    assert apply(make_hash("a", key_env="FROM_A_FILE"), b'{"a":"x"}') == before


@pytest.mark.parametrize("mistake", ["d" * 64, "0123456789abcdef" * 4, "S3CR3T+key/=", "A" * 40])
def test_a_key_given_in_place_of_its_variable_is_not_shown(mistake: str) -> None:
    with pytest.raises(ConfigError, match="that key_env names") as caught:
        make_hash("$email", key_env=mistake)
    assert mistake not in str(caught.value)


def test_a_key_from_the_keyring(apply, monkeypatch, keyring) -> None:
    keyring(entries={("mixpanel", "redact"): LONG + "\n"})
    monkeypatch.setenv("SAME", LONG)
    monkeypatch.delenv("MP_REDACT_KEY")
    ring = make_hash("a", keyring_service="mixpanel", keyring_user="redact")
    assert apply(ring, b'{"a":1}') == apply(make_hash("a", key_env="SAME"), b'{"a":1}')


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"entries": {}}, "needs a key: set the keyring's password of 'u' for 's'"),
        ({"entries": {("s", "u"): "short"}}, "too short: set the keyring's password"),
        ({"entries": {}, "broken": True}, "the keyring cannot be read .KeyringError."),
    ],
)
def test_a_keyring_that_has_no_key(keyring, state, words) -> None:
    keyring(**state)
    with pytest.raises(ConfigError, match=words):
        make_hash("a", keyring_service="s", keyring_user="u")


def test_a_keyring_that_is_not_installed(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install 'mixpanel-fetch-redact\[keyring\]'"):
        make_hash("a", keyring_service="s", keyring_user="u")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keyring_user": "u"}, "go together"),
        ({"keyring_service": "s"}, "go together"),
        ({"keyring_service": "s", "keyring_user": "u", "key_env": "E"}, "not both"),
        ({"key_env": ""}, "key_env"),
        ({"match_case": "perhaps"}, "match_case"),
        ({"key": "0123456789abcdef"}, "no plugin of this run has an option 'key'"),
    ],
)
def test_options_are_checked(host, options, words) -> None:
    request = FetchRequest("t", transforms=["hash:a"], options=options)
    with pytest.raises(PluginError, match=words) as caught:
        Assembler(host).plan(request, "jsonl://-")
    assert "0123456789abcdef" not in str(caught.value)


def test_the_schema_fills_in_what_is_left_out() -> None:
    assert HashOptions().load({"match_case": "true"}) == {
        "key_env": None, "keyring_service": None, "keyring_user": None, "match_case": True
    }  # fmt: skip


def identity(host, transform: str, **options: str) -> str:
    request = FetchRequest("t", transforms=[transform], options=options)
    [named] = Assembler(host).plan(request, "jsonl://-").transforms
    return named.identity


def test_the_run_s_fingerprint_holds_no_key(host, key) -> None:
    assert key not in identity(host, "hash:$email")
    assert identity(host, "hash:$email") == identity(host, "hash:$email")
    assert identity(host, "hash:$email") != identity(host, "hash:$phone")


def test_the_run_s_fingerprint_is_another_with_another_key(host, monkeypatch) -> None:
    before = identity(host, "hash:$email")
    monkeypatch.setenv("MP_REDACT_KEY", LONG)
    if identity(host, "hash:$email") == before:
        pytest.xfail("this mixpanel-fetch does not ask a transform for its identity")
