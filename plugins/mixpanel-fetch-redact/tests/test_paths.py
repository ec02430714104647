from __future__ import annotations

import pytest
from mixpanel_fetch_redact import make_drop_pii, make_hash, make_keep_only, make_mask
from mixpanel_fetch_redact.paths import EVERY, exact, folded, parse_paths, tree_of

from mixpanel_fetch.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("$email", [("$email",)]),
        (" a b , c\t", [("a b",), ("c",)]),
        ("address.street", [("address", "street")]),
        (" address . street ", [("address", "street")]),
        ("devices[].ip", [("devices", EVERY, "ip")]),
        ("devices.*.ip", [("devices", EVERY, "ip")]),
        ("devices [ ] .ip", [("devices", EVERY, "ip")]),
        ("rows[][]", [("rows", EVERY, EVERY)]),
        ("rows.*[]", [("rows", EVERY, EVERY)]),
        (r"a\.b", [("a.b",)]),
        (r"a\,b.c\[\]", [("a,b", "c[]")]),
        (r"a.\*", [("a", "*")]),
        (r"\ a\ ", [(" a ",)]),
        ("a\\\\.b", [("a\\", "b")]),
        (r"say \"hi\"", [('say "hi"',)]),
        (r"\[\].x", [("[]", "x")]),
    ],
)
def test_paths_are_read(text: str, paths: list[tuple[str | None, ...]]) -> None:
    assert parse_paths(text, "x:$email") == paths


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", " ", ",", "a,,b", "a,", ".a", "a.", "a..b", "a\\", "[]", "a.[]"),
        *("*", "*.ip", " * ", "a*", "a.b*", "a[0].b", "a[", "a]", "[]a", "a[]b", "a[.b", "a.*b"),
    ],
)
@pytest.mark.parametrize("make", [make_hash, make_mask, make_keep_only])
def test_what_is_no_path_is_refused_in_one_line_with_an_example(make, text) -> None:
    with pytest.raises(ConfigError, match=r"hash:|mask:|keep-only:") as caught:
        make(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [" ", "a..b", "a[0]"])
@pytest.mark.parametrize("option", ["also", "keep"])
def test_options_with_paths_are_refused_likewise(text: str, option: str) -> None:
    with pytest.raises(ConfigError, match=r"also=|keep="):
        make_drop_pii(None, **{option: text})


def test_names_are_folded() -> None:
    assert folded("$EMAIL") == folded("$email")
    assert folded("CAFE\u0301") == folded("caf\u00e9")
    assert folded("Stra\u00dfe") == folded("STRASSE")
    assert folded("email") != folded("$email")


def test_paths_that_overlap_are_merged() -> None:
    tree = tree_of([("a", EVERY, "x"), ("a", "b", "y"), ("c",), ("c", "d")], exact)
    both = tree.children["a"].children["b"]
    assert both.children["x"].leaf
    assert both.children["y"].leaf
    assert tree.children["a"].children["other"].children["y"] is None
    assert tree.children["c"].leaf
    assert tree.children["d"] is None


def test_only_so_many_names_are_remembered() -> None:
    tree = tree_of([("a", EVERY)], exact)
    for number in range(12_000):
        assert tree.children["a"].children[str(number)].leaf
    assert len(tree.children["a"].children) == 10_000
