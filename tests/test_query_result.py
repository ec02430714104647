"""What a query found, and how it goes on into Arrow, pandas and notebooks."""

from __future__ import annotations

import pickle
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from arro3.core import Table

from mixpanel_fetch import Batch, ConfigError, QueryResult

SEEN = datetime(2026, 1, 31, 12, 30, 0, 250, tzinfo=timezone.utc)
COLUMNS = {
    "whether": [True, None, False],
    "count": [2**63 - 1, None, -1],
    "share": [0.5, None, -1.0],
    "both": [1, None, 0.5],
    "price": [Decimal("1.50"), None, Decimal(-3)],
    "huge": [2**64, None, 7],
    "text": ["\u00e9\U0001f600", None, ""],
    "raw": [b"\x00\xff", None, b""],
    "day": [date(2026, 1, 31), None, date(1, 1, 1)],
    "clock": [SEEN.replace(tzinfo=None), None, datetime(1, 1, 1)],
    "instant": [SEEN, None, SEEN.astimezone(timezone(timedelta(hours=2)))],
    "nothing": [None, None, None],
}
TYPES = {
    "whether": "bool",
    "count": "int64",
    "share": "double",
    "both": "double",
    "price": "decimal128(38, 2)",
    "huge": "decimal128(38, 0)",
    "text": "string",
    "raw": "binary",
    "day": "date32[day]",
    "clock": "timestamp[us]",
    "instant": "timestamp[us, tz=UTC]",
    "nothing": "string",
}


def result_of(columns):
    rows = [tuple(row) for row in zip(*columns.values(), strict=True)]
    return QueryResult(tuple(columns), ("ANY",) * len(columns), rows)


@pytest.fixture(params=["pyarrow", "arro3"])
def library(request, monkeypatch):
    """One Arrow library at a time."""
    if request.param == "arro3":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    else:
        monkeypatch.setitem(sys.modules, "arro3.core", None)
    return request.param


def as_pyarrow(table):
    import pyarrow

    return pyarrow.table(table)


def test_it_is_a_sequence_of_tuples_with_names():
    result = QueryResult(("plan", "n"), ("VARCHAR", "BIGINT"), [("free", 2), ("pro", 1)])
    assert len(result) == 2
    assert list(result) == result.rows == [("free", 2), ("pro", 1)]
    assert result.dicts() == [{"plan": "free", "n": 2}, {"plan": "pro", "n": 1}]
    assert repr(result) == "<QueryResult: 2 rows of plan VARCHAR, n BIGINT>"
    assert pickle.loads(pickle.dumps(result)) == result


def test_arrow_holds_every_value_exactly_with_either_library(library, monkeypatch):
    table = result_of(COLUMNS).to_arrow()
    assert type(table).__module__.partition(".")[0] == library
    monkeypatch.undo()
    table = as_pyarrow(table)
    assert {field.name: str(field.type) for field in table.schema} == TYPES
    assert table.to_pydict() == COLUMNS | {"both": [1.0, None, 0.5]}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([[1, "é"], {"a": None}], ['[1, "é"]', '{"a": null}']),
        ([[date(2026, 1, 31)]], ['["2026-01-31"]']),
        ([UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([timedelta(days=3)], ["3 days, 0:00:00"]),
        ([1, "1"], ["1", "1"]),
        ([True, 2], ["True", "2"]),
        ([10**38], ["1" + "0" * 38]),
        ([Decimal("NaN")], ["NaN"]),
        ([Decimal("1e-30"), Decimal("1e30")], ["1E-30", "1E+30"]),
    ],
)
def test_what_arrow_has_no_common_kind_for_is_text(library, monkeypatch, values, texts):
    table = result_of({"x": values}).to_arrow()
    monkeypatch.undo()
    assert as_pyarrow(table).to_pydict() == {"x": texts}


def test_a_result_without_rows_keeps_its_columns(library, monkeypatch):
    table = QueryResult(("a", "b"), ("INT", "INT"), []).to_arrow()
    monkeypatch.undo()
    assert as_pyarrow(table).column_names == ["a", "b"]


def test_columns_of_one_name_stay_apart_in_arrow(library, monkeypatch):
    table = QueryResult(("a", "a"), ("INT", "INT"), [(1, 2)]).to_arrow()
    monkeypatch.undo()
    assert [column.to_pylist() for column in as_pyarrow(table).columns] == [[1], [2]]


def test_what_reads_arrow_takes_a_result_as_it_is(library, monkeypatch):
    stream = result_of(COLUMNS).__arrow_c_stream__()
    monkeypatch.undo()
    assert stream is not None
    assert Table.from_arrow(result_of(COLUMNS)).num_rows == 3


def test_a_data_frame_has_the_rows():
    frame = QueryResult(("plan", "n"), ("VARCHAR", "BIGINT"), [("free", 2), ("pro", 1)]).df()
    assert frame.to_dict("list") == {"plan": ["free", "pro"], "n": [2, 1]}
    assert QueryResult(("a",), ("INT",), []).df().columns.tolist() == ["a"]


def test_batches_go_the_same_way(library, monkeypatch):
    rows = [
        {"distinct_id": "a", "properties": {"n": 1}, "last_seen": SEEN},
        {"distinct_id": "b", "properties": {}, "last_seen": None},
    ]
    batch = Batch.from_rows(rows)
    table = batch.to_arrow()
    monkeypatch.undo()
    assert as_pyarrow(table).to_pydict() == {
        "distinct_id": ["a", "b"],
        "properties": ['{"n":1}', "{}"],
        "last_seen": [SEEN, None],
    }
    frame = batch.df()
    assert frame["properties"].tolist() == [{"n": 1}, {}]
    assert frame["last_seen"].iloc[0] == SEEN
    assert Batch().df().columns.tolist() == ["distinct_id", "properties", "last_seen"]


@pytest.mark.parametrize("thing", [Batch(), QueryResult(("a",), ("INT",), [(1,)])])
def test_without_the_libraries_it_is_said_what_to_install(monkeypatch, thing):
    for name in ("pyarrow", "arro3.core", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install pyarrow, or .*mixpanel-fetch\[arrow\]"):
        thing.to_arrow()
    with pytest.raises(ConfigError, match="pip install pandas"):
        thing.df()
    with pytest.raises(ImportError, match="pip install"):
        thing.__arrow_c_stream__()


# In a notebook


def test_values_are_only_text_in_a_notebook():
    hostile = "<script>alert(1)</script>&\"'"
    html = QueryResult((hostile,), ("X",), [(hostile,)])._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;") == 2


def test_a_notebook_shows_some_rows_and_says_how_many_there_are():
    html = QueryResult(("n",), ("INT",), [(n,) for n in range(1234)])._repr_html_()
    assert html.count("<tr>") == 21
    assert "1,234 rows" in html
    assert "and 1,214 more" in html
    assert "more" not in QueryResult(("n",), ("INT",), [(1,)])._repr_html_()


def test_a_long_value_is_cut_short_in_a_notebook():
    html = QueryResult(("x",), ("TEXT",), [("y" * 10_000,)])._repr_html_()
    assert len(html) < 1000
    assert "…" in html


def test_a_notebook_keeps_its_own_colors():
    html = QueryResult(("x",), ("TEXT",), [("y",), (None,), (0.1,)])._repr_html_()
    assert "color" not in html
    assert "background" not in html
