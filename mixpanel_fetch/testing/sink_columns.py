"""The capability ``columns``: properties shown as typed columns of a view."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.columns import Column, ColumnMapping, Kind
from mixpanel_fetch.errors import ConfigError, TableNotFoundError
from mixpanel_fetch.testing.promises import promised, refused
from mixpanel_fetch.testing.sink_bench import SinkBench

_AWKWARD = (
    *("$name", "name", "Name", "NAME", "select", "distinct_id", "last_seen", "properties"),
    *("", "a.b", "a/b", "~1", "it's", 'say "hi"', "ü", "a[0]", "*", "$", "a\\b", "x" * 300),
)
_KINDS: Mapping[Kind, tuple[Any, ...]] = {
    "null": (None, "n/a"),
    "boolean": (True, False),
    "integer": (0, -(2**63), 2**63 - 1),
    "number": (1.5, -2.5e-7),
    "date": ("2026-01-31", "2024-02-29"),
    "instant": ("2026-01-31T10:00:00", "2026-01-31T10:00:00+02:00"),
    "text": ("", "1", "2026-02-31", "ü"),
    "json": ([], {"a": 1}),
}


class SinkColumnsTests:
    """Skipped unless the sink claims ``columns``."""

    def test_kinds_are_counted(self, bench: SinkBench) -> None:
        """Each value of each property, as :data:`~mixpanel_fetch.columns.KINDS` says."""
        bench.needs("columns")
        values = [(kind, value) for kind, values in _KINDS.items() for value in values]
        _store(bench, [{"all": value, kind: value} for kind, value in values])
        counts = {kind: len(values) for kind, values in _KINDS.items()}
        expected: dict[str, Mapping[Kind, int]] = {k: {k: count} for k, count in counts.items()}
        expected["all"] = counts
        with promised("property_kinds must answer"), _engine(bench) as engine:
            found = {one: dict(kinds) for one, kinds in _kinds(engine, bench, ["n/a"]).items()}
        for name, kinds in expected.items():
            assert found.get(name) == kinds, (
                f"the values of the property {name!r} are {kinds}, not {found.get(name)}"
            )
        assert found.keys() == expected.keys(), f"there are no properties but those: {[*found]}"

    def test_each_column_shows_its_own_property(self, bench: SinkBench) -> None:
        """Whatever the properties are called."""
        bench.needs("columns")
        _store(bench, [dict(zip(_AWKWARD, range(1000, 1100), strict=False))])
        columns = _shown(bench)
        names = {column.property for column in columns}
        assert names == {*_AWKWARD}, f"property_kinds must name {[*_AWKWARD]}, not {[*names]}"
        (row,) = _view(bench)
        for column in columns:
            value = 1000 + _AWKWARD.index(column.property)
            found = row.get(column.name)
            assert found == value, (
                f"the column {column.name!r} of the property {column.property!r} must show"
                f" {value}, not {found!r}"
            )
        assert row.get("distinct_id") == "id0", f"a view has the table's own columns: {[*row]}"

    def test_a_view_leaves_the_table_alone(self, bench: SinkBench) -> None:
        """Neither counting nor showing changes it."""
        bench.needs("columns")
        _store(bench, [{"a": 1}, {"a": "x", "b": None}])
        before = bench.rows()
        _shown(bench)
        bench.assert_same(before, "making a view must leave the table as it was")

    def test_what_a_column_does_not_hold_is_null(self, bench: SinkBench) -> None:
        """In the view, whose row is there all the same; the table keeps the value."""
        bench.needs("columns")
        _store(
            bench,
            [
                {"n": 1, "t": "n/a", "b": True},
                {"n": "many", "t": "x", "b": "true"},
                {"n": 2.5, "t": 5, "b": 1},
                {"n": "7", "t": None, "b": None},
                {},
            ],
        )
        columns = [
            *(Column("n", "number", "integer"), Column("t", "words", "text")),
            Column("b", "flag", "boolean"),
        ]
        _show(bench, columns, ["n/a"])
        found = [(row.get("number"), row.get("words"), row.get("flag")) for row in _view(bench)]
        expected = [(1, None, True), (None, "x", None), *[(None, None, None)] * 3]
        assert found == expected, (
            "a value that its column's type does not hold, and a text that stands for null, are"
            f" NULL in the view, and no other value: {expected}, not {found}"
        )

    def test_a_view_may_be_made_again(self, bench: SinkBench) -> None:
        """With the same columns it is the same, with others it changes."""
        bench.needs("columns")
        _store(bench, [{"a": 1, "b": 2}])
        columns = _shown(bench)
        first = _view(bench)
        _show(bench, columns)
        assert _view(bench) == first, "a view that is made twice must be the same"
        _show(bench, [Column("b", "other", "integer")])
        (row,) = _view(bench)
        assert (row.get("other"), "a" in row) == (2, False), (
            f"a view that is made with other columns must have those, not {[*row]}"
        )

    def test_the_name_of_a_table_is_refused(self, bench: SinkBench) -> None:
        """A view never takes the place of a table."""
        bench.needs("columns")
        _store(bench, [{"a": 1}])
        before = bench.rows()
        words = "a view must not be called like a table"
        with _engine(bench) as engine, refused(ConfigError, words):
            engine.show_columns(bench.table, bench.table, [Column("a", "a", "integer")])
        bench.assert_same(before, "a refused view must leave the table as it was")

    def test_columns_of_a_missing_table_are_refused(self, bench: SinkBench) -> None:
        """Beside one that is there."""
        bench.needs("columns")
        _store(bench, [{"a": 1}])
        missing, words = f"{bench.table}_missing", "columns of a missing table must be refused"
        with _engine(bench) as engine:
            with refused(TableNotFoundError, words):
                engine.property_kinds(missing)
            with refused(TableNotFoundError, words):
                engine.show_columns(missing, _name(bench), [])


@contextmanager
def _engine(bench: SinkBench) -> Iterator[Any]:
    engine = bench.engine()
    try:
        yield engine
    finally:
        engine.close()


def _store(bench: SinkBench, rows: Sequence[Mapping[str, Any]]) -> None:
    bench.store(
        {
            0: Batch(
                [f"id{number}" for number in range(len(rows))],
                [json.dumps(row).encode() for row in rows],
                [None] * len(rows),
            )
        }
    )


def _name(bench: SinkBench) -> str:
    return f"{bench.table}_columns"


def _kinds(
    engine: Any, bench: SinkBench, null_texts: Sequence[str] = ()
) -> Mapping[str, Mapping[Kind, int]]:
    kinds: Mapping[str, Mapping[Kind, int]] = engine.property_kinds(bench.table, null_texts)
    return kinds


def _shown(bench: SinkBench) -> Sequence[Column]:
    """Make the view of every property, as ``mp columns`` does; return its columns."""
    with promised("property_kinds must answer"), _engine(bench) as engine:
        columns = ColumnMapping().evolved(_kinds(engine, bench)).columns
    _show(bench, columns)
    return columns


def _show(bench: SinkBench, columns: Sequence[Column], null_texts: Sequence[str] = ()) -> None:
    with promised("show_columns must make the view"), _engine(bench) as engine:
        engine.show_columns(bench.table, _name(bench), columns, null_texts)


def _view(bench: SinkBench) -> list[Mapping[str, Any]]:
    """Return the rows of the view by id."""
    view = _name(bench)
    if bench.case.view is not None:
        rows = [*bench.case.view(view)]
    elif "query" in bench.capabilities:
        with promised("a query of the view must be answered"), _engine(bench) as engine:
            answer = engine.query(bench.case.select_all(view))
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer]
    else:
        raise AssertionError("the case must say how a view is read (SinkCase.view)")
    return sorted(rows, key=lambda row: str(row.get("distinct_id")))
