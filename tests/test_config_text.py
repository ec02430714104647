"""Changes to the configuration file's text: all else stays as it stands."""

from __future__ import annotations

import sys

import pytest

from mixpanel_fetch.config_text import with_account, with_default, without_account
from mixpanel_fetch.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = """\
# head
region = 'eu' # here

# about prod
[accounts.prod] # the one
username = "u" # who
# why
secret='s'

# about plugins
[plugins.duckdb]
threads = 2
sizes = [
  [1],
  [2],
]
"""
VALUES = {"username": 'a"b', "secret": "s\\t"}


def test_a_new_account_comes_at_the_end():
    added = with_account(TEXT, "new", VALUES)
    assert added.startswith(TEXT)
    assert added[len(TEXT) :] == '\n[accounts.new]\nusername = "a\\"b"\nsecret = "s\\\\t"\n'
    assert tomllib.loads(added)["accounts"]["new"] == VALUES


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "region = 'eu'", TEXT.rstrip()])
def test_what_is_added_and_taken_away_leaves_no_trace(text):
    added = with_default(with_account(text, "new", VALUES), "new")
    assert tomllib.loads(added)["default"] == "new"
    taken = with_default(without_account(added, "new"), None)
    assert taken.strip() == text.strip()


def test_an_account_that_is_replaced_keeps_its_place_and_its_comments():
    changed = with_account(TEXT, "prod", {"username": "other", "region": "in"})
    assert changed == TEXT.replace('"u" # who', '"other" # who').replace(
        "secret='s'\n", 'region = "in"\n'
    )


def test_an_account_that_is_removed_takes_no_comment_of_others_along():
    left = without_account(TEXT, "prod")
    assert "# about plugins\n[plugins.duckdb]\nthreads = 2\n" in left
    assert "accounts" not in left
    assert left.startswith("# head\nregion = 'eu' # here\n")


GROUPS = """\
[accounts.prod]
username = "u"
secret = "s"

# ours
[accounts.prod.groups]
company = -1405123841946871899 # in full

# about plugins
[plugins.duckdb]
"""


def test_the_groups_of_an_account_that_is_replaced_stay():
    assert with_account(GROUPS, "prod", {"username": "v", "secret": "s"}) == GROUPS.replace(
        '"u"', '"v"'
    )
    inline = '[accounts.prod]\nsecret = "s"\ngroups = {company = 5}\n'
    assert with_account(inline, "prod", {"secret": "t"}) == inline.replace('"s"', '"t"')


def test_the_groups_of_an_account_that_is_removed_go_with_it():
    said = without_account(GROUPS, "prod")
    assert tomllib.loads(said) == {"plugins": {"duckdb": {}}}
    assert "# about plugins" in said


def test_the_default_stands_below_the_other_settings_and_above_the_tables():
    assert with_default(TEXT, "prod") == TEXT.replace("here\n", 'here\ndefault = "prod"\n')
    without_settings = TEXT[TEXT.index("# about prod") :]
    assert with_default(without_settings, "prod") == f'default = "prod"\n\n{without_settings}'


def test_a_default_that_is_there_is_changed_where_it_stands():
    text = "default = 'a' # mine\nregion = 'eu'\n"
    assert with_default(text, "b") == "default = \"b\" # mine\nregion = 'eu'\n"
    assert with_default(text, "a") == text
    assert with_default(text, None) == "region = 'eu'\n"


def test_any_way_to_write_the_name_is_known():
    text = "[ accounts . \"prod\" ]\nusername = 'u'\n"
    assert tomllib.loads(with_account(text, "prod", {"username": "v"})) == {
        "accounts": {"prod": {"username": "v"}}
    }
    assert without_account(text, "prod").strip() == ""


def test_lines_that_end_as_windows_ends_them_stay():
    text = TEXT.replace("\n", "\r\n")
    assert with_account(text, "new", VALUES).startswith(text)
    assert without_account(text, "prod").endswith(text[text.index("# about plugins") :])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda text: with_account(text, "new", VALUES), "accounts = {a = {username = 'u'}}\n"),
        (lambda text: without_account(text, "a"), "accounts = {a = {username = 'u'}}\n"),
        (lambda text: with_account(text, "a", VALUES), "accounts.a.username = 'u'\n"),
        (lambda text: without_account(text, "a"), "[accounts]\na.username = 'u'\n"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_never_broken(change, text):
    with pytest.raises(ConfigError, match=r"\[accounts\.NAME\], or change it by hand"):
        change(text)
