from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch, encode_properties
from mixpanel_fetch.defaults import shape
from mixpanel_fetch.errors import ConfigError

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)


def batch_of(*properties: bytes) -> Batch:
    count = len(properties)
    return Batch([f"u{i}" for i in range(count)], list(properties), [SEEN] * count)


def shaped(transform: Any, properties: bytes) -> bytes:
    result: Batch = transform(batch_of(properties))
    return result.properties[0]


def test_select_keeps_only_the_named_properties_in_their_own_order() -> None:
    assert shaped(shape.select("c,a"), b'{"a":1,"b":2,"c":3}') == b'{"a":1,"c":3}'


def test_drop_removes_the_named_properties() -> None:
    assert shaped(shape.drop("b,absent,b"), b'{"a":1,"b":2,"c":3}') == b'{"a":1,"c":3}'


def test_rename_keeps_the_place_of_the_property() -> None:
    assert shaped(shape.rename("a=z"), b'{"a":1,"b":2}') == b'{"z":1,"b":2}'


def test_values_keep_their_very_bytes() -> None:
    values = (
        rb'1.10,"z":-0,"big":123456789012345678901234567890,"e":1E5,"nul":"\u0000",'
        rb'"mended":"\ufffd","deep":{"a":[ 1,  {"b":null} ]},"text":"\u00e9\/"'
    )
    properties = b'{"a":' + values + b',"gone":1}'
    assert shaped(shape.drop("gone"), properties) == b'{"a":' + values + b"}"
    assert shaped(shape.rename("gone=kept"), properties) == b'{"a":' + values + b',"kept":1}'


@pytest.mark.parametrize("name", ["$email", "a.b", 'say "hi"', "two words", "naïve 🙂", "it's"])
def test_names_match_exactly_whatever_they_hold(name: str) -> None:
    properties = json.dumps({name: 1, name.upper() + "x": 2, "other": 3}).encode()
    assert json.loads(shaped(shape.select(name), properties)) == {name: 1}


def test_names_differing_in_case_are_different() -> None:
    assert shaped(shape.drop("Plan"), b'{"plan":1,"Plan":2}') == b'{"plan":1}'


def test_outer_blanks_are_ignored_and_inner_ones_kept() -> None:
    assert shaped(shape.select(" a b ,\tc"), b'{"a b":1,"c":2," a b ":3}') == b'{"a b":1,"c":2}'


def test_a_backslash_takes_the_next_character_as_it_is() -> None:
    properties = b'{"a,b":1,"c=d":2," e ":3,"f\\\\":4,"g":5}'
    kept = shaped(shape.select(r"a\,b, c\=d, \ e\ , f\\"), properties)
    assert json.loads(kept) == {"a,b": 1, "c=d": 2, " e ": 3, "f\\": 4}
    assert shaped(shape.rename(r"a\,b=x\=y"), b'{"a,b":1}') == b'{"x=y":1}'


def test_select_keeps_last_seen_without_being_asked() -> None:
    before = batch_of(b'{"a":1}')
    assert shape.select("a")(before) == before


def test_dropping_last_seen_empties_its_column_and_the_unparsable_property() -> None:
    result = shape.drop("$last_seen")(batch_of(b'{"$last_seen":"soon","a":1}', b"{}"))
    assert result == Batch(["u0", "u1"], [b'{"a":1}', b"{}"], [None, None])


@pytest.mark.parametrize("argument", ["$last_seen=seen", "seen=$last_seen"])
def test_rename_refuses_last_seen(argument: str) -> None:
    with pytest.raises(ConfigError, match="column last_seen"):
        shape.rename(argument)


def test_a_renamed_property_takes_the_place_of_one_that_has_the_name() -> None:
    assert shaped(shape.rename("a=b"), b'{"b":2,"a":1}') == b'{"b":1}'
    assert shaped(shape.rename("a=b"), b'{"b":2}') == b'{"b":2}'


def test_rename_swaps_and_shifts() -> None:
    assert shaped(shape.rename("a=b,b=a"), b'{"a":1,"b":2}') == b'{"b":1,"a":2}'
    assert shaped(shape.rename("a=b,b=c"), b'{"a":1,"b":2,"c":3}') == b'{"b":1,"c":2}'
    assert shaped(shape.rename("a=a,a=a"), b'{"a":1}') == b'{"a":1}'


@pytest.mark.parametrize("make", [shape.select, shape.drop, shape.rename])
@pytest.mark.parametrize("argument", [None, "", " ", ",", "a,,b", "a,", "a\\"])
def test_an_unusable_argument_is_one_line_with_an_example(make: Any, argument: str | None) -> None:
    with pytest.raises(ConfigError, match="as in ") as caught:
        make(argument)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["a", "a=b=c", "a=", "=b", "a=b,c"])
def test_rename_needs_pairs(argument: str) -> None:
    with pytest.raises(ConfigError, match=r"as in rename:\$email=email"):
        shape.rename(argument)


def test_rename_refuses_what_has_two_meanings() -> None:
    with pytest.raises(ConfigError, match="two names"):
        shape.rename("a=b,a=c")
    with pytest.raises(ConfigError, match="one name"):
        shape.rename("a=c,b=c")


def test_transforms_travel_between_processes() -> None:
    for transform in (shape.select("a"), shape.drop("a"), shape.rename("a=b")):
        twin = pickle.loads(pickle.dumps(transform))
        assert shaped(twin, b'{"a":1,"c":2}') == shaped(transform, b'{"a":1,"c":2}')


def test_the_plugin_registers_all_three() -> None:
    specs = list(shape.register_transforms())
    assert [(spec.name, spec.factory) for spec in specs] == [
        ("select", shape.select),
        ("drop", shape.drop),
        ("rename", shape.rename),
    ]


unhurried = settings(max_examples=60, deadline=None, database=None)
names = st.sampled_from(["a", "b", "A", "$email", "a.b", "a,b", "a=b", " pad ", 'q"q', "é", "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
rows = st.dictionaries(names | st.text(max_size=3), values, max_size=6)


def spelled(name: str) -> str:
    return "".join(f"\\{character}" if character in "\\,= " else character for character in name)


@unhurried
@given(st.lists(rows, max_size=4), st.lists(names, min_size=1))
def test_select_and_drop_do_what_a_plain_dict_would(
    table: list[dict[str, Any]], chosen: list[str]
) -> None:
    before = batch_of(*map(encode_properties, table))
    copy = Batch(list(before.distinct_ids), list(before.properties), list(before.last_seen))
    argument = ",".join(map(spelled, chosen))
    selected = shape.select(argument)(before)
    dropped = shape.drop(argument)(before)
    assert selected is not None
    assert dropped is not None
    loaded = [json.loads(encode_properties(row)) for row in table]
    assert [list(json.loads(text).items()) for text in selected.properties] == [
        [(key, value) for key, value in row.items() if key in chosen] for row in loaded
    ]
    assert [list(json.loads(text).items()) for text in dropped.properties] == [
        [(key, value) for key, value in row.items() if key not in chosen] for row in loaded
    ]
    assert selected.distinct_ids == dropped.distinct_ids == before.distinct_ids
    assert selected.last_seen == dropped.last_seen == before.last_seen
    assert before == copy


@unhurried
@given(st.lists(rows, max_size=4), st.dictionaries(names, names, min_size=1))
def test_rename_does_what_a_plain_dict_would(
    table: list[dict[str, Any]], pairs: dict[str, str]
) -> None:
    argument = ",".join(f"{spelled(old)}={spelled(new)}" for old, new in pairs.items())
    if len(set(pairs.values())) < len(pairs):
        with pytest.raises(ConfigError):
            shape.rename(argument)
        return
    result = shape.rename(argument)(batch_of(*map(encode_properties, table)))
    assert result is not None
    for row, text in zip(table, result.properties, strict=True):
        loaded = json.loads(encode_properties(row))
        expected = {key: value for key, value in loaded.items() if key not in pairs}
        expected |= {new: loaded[old] for old, new in pairs.items() if old in loaded}
        assert json.loads(text) == expected
