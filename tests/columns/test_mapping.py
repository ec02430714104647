"""Types that widen, drift that is told, and the file that keeps both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch import ConfigError
from mixpanel_fetch.columns import KINDS, ColumnMapping, type_for

SEEN = st.dictionaries(st.sampled_from(KINDS), st.integers(0, 5))
TABLES = st.dictionaries(st.text(max_size=8), SEEN, max_size=6)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], "text"),
        (["null"], "text"),
        (["integer", "null"], "integer"),
        (["integer", "number"], "number"),
        (["date", "instant"], "instant"),
        (["date", "text"], "text"),
        (["text", "integer"], "json"),
        (["boolean", "integer"], "json"),
        (["json"], "json"),
    ],
)
def test_the_type_is_the_narrowest_that_holds_all(kinds, expected):
    assert type_for(dict.fromkeys(kinds, 1)) == expected


def test_a_conflict_is_told_and_objects_alone_are_none():
    seen = {"a": {"text": 1, "integer": 2}, "b": {"json": 3}}
    columns = {each.property: each for each in ColumnMapping().evolved(seen).columns}
    assert (columns["a"].type, columns["a"].conflict) == ("json", True)
    assert (columns["b"].type, columns["b"].conflict) == ("json", False)


def test_drift_names_what_is_new_gone_and_of_another_type():
    mapping = ColumnMapping().evolved({"a": {"integer": 1}, "b": {"text": 1}})
    drift = mapping.drift({"a": {"text": 1}, "c": {"text": 1}})
    assert (drift.new, drift.gone, drift.changed) == (("c",), ("b",), ("a",))
    assert str(drift) == "1 new: c; 1 gone: b; 1 of another type: a"
    assert not mapping.drift({"a": {"null": 3}, "b": {"date": 1, "text": 1}})


@given(TABLES, TABLES)
def test_what_evolved_drifts_no_more_but_for_what_is_gone(first, then):
    mapping = ColumnMapping().evolved(first).evolved(then)
    drift = mapping.drift(then)
    assert {each.property for each in mapping.columns if each.gone} == first.keys() - then.keys()
    assert not drift
    assert mapping.evolved(then) == mapping


@settings(deadline=None)  # it writes a file
@given(TABLES)
def test_a_mapping_comes_back_from_its_file(tmp_path_factory, seen):
    path = tmp_path_factory.mktemp("schema") / "t.json"
    mapping = ColumnMapping().evolved(seen)
    mapping.save(path)
    assert ColumnMapping.load(path) == mapping
    assert [each.name for each in path.parent.iterdir()] == ["t.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"columns": [{"a": 1}]}', "{" * 9999, "\ud800"])
def test_what_is_no_schema_file_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match=r"t\.json") as refusal:
        ColumnMapping.load(path)
    assert "\n" not in str(refusal.value)


def test_no_file_is_an_empty_mapping_and_another_version_is_refused(tmp_path):
    assert ColumnMapping.load(tmp_path / "none.json") == ColumnMapping()
    later = tmp_path / "later.json"
    later.write_text('{"version": 2, "columns": []}')
    with pytest.raises(ConfigError, match="another version"):
        ColumnMapping.load(later)
