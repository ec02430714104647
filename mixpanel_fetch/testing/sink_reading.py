"""What a sink that claims ``query`` tells of what is in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, TableNotFoundError
from mixpanel_fetch.reading import PropertySummary, TableSummary
from mixpanel_fetch.testing.promises import promised, refused
from mixpanel_fetch.testing.sink_bench import SEEN, SinkBench, batch

_PROPERTIES: Sequence[Mapping[str, Any]] = (
    {"plan": "free", "Plan": 1, "n": 2**60, "": None, "a.b": {"c": [1, "ü"]}},
    {"plan": "free", "n": 2**60 + 1, "it's": True, 'say "hi"': [1, 2]},
    {"plan": "pro", "n": "2", "it's": False, "$x": 1.5},
    {"plan": None, "n": 2, "it's": True},
    {},
)
_SEEN = (SEEN, SEEN, SEEN + timedelta(days=1), None, None)


class SinkReadingTests:
    """Reading agrees with the rows that landed, and changes nothing."""

    def test_tables_tell_of_what_landed(self, bench: SinkBench) -> None:
        """The table is there once, with its rows counted and its columns named."""
        bench.needs("query")
        bench.store({0: batch("a", "b"), 1: batch("c")})
        with _reading(bench) as engine, promised("tables must list what landed"):
            found = [one for one in engine.tables() if one.name == bench.table]
        assert len(found) == 1, f"tables must list {bench.table} once, not {len(found)} times"
        rows = len(bench.rows() or ())
        assert found[0].rows == rows, f"tables must count {rows} rows, not {found[0].rows}"
        assert found[0].holds_profiles, "a table that was fetched must be known to hold profiles"
        names = [name for name, _ in found[0].columns]
        assert "distinct_id" in names, f"tables must name the column distinct_id, not only {names}"

    def test_tables_are_the_users_own(self, bench: SinkBench) -> None:
        """What a sink keeps for itself, while a run is interrupted too, is left out."""
        bench.needs("query", "resume", "merge")
        bench.store({0: batch("a")})
        before = _names(bench)
        bench.leave({0: batch("b")}, bench.info("merge", total_pages=2), end="suspend")
        after = _names(bench)
        assert after == before, f"tables must leave out what the sink keeps for itself: {after}"
        assert before == sorted(before), f"tables must come by name, not as {before}"

    def test_a_query_finds_the_rows(self, bench: SinkBench) -> None:
        """Each row has the columns that are named, and each column its type."""
        bench.needs("query")
        bench.store({0: batch("a", "b"), 1: batch("c")})
        with _reading(bench) as engine, promised("a query for every row must be answered"):
            answer = engine.query(bench.case.select_all(bench.table))
            columns, types, rows = list(answer.columns), list(answer.types), list(answer)
        lengths = {len(types), *map(len, rows)}
        assert lengths == {len(columns)}, (
            f"an answer of {len(columns)} columns must have as many types, and cells in each row,"
            f" not {sorted(lengths)}"
        )
        assert "distinct_id" in columns, f"the answer must have a column distinct_id: {columns}"
        place = columns.index("distinct_id")
        ids = sorted(row[place] for row in rows)
        assert ids == ["a", "b", "c"], f"a query must find the rows that landed, not {ids}"

    def test_a_query_that_cannot_be_asked_is_refused(self, bench: SinkBench) -> None:
        """At once or when it is read, with a ConfigError."""
        bench.needs("query")
        bench.store({0: batch("a")})
        missing = bench.case.select_all(f"{bench.table}_missing")
        for words, query in (("is no query", "not a query, whatever"), ("finds no table", missing)):
            with (
                _reading(bench) as engine,
                refused(ConfigError, f"what {words} must be a ConfigError"),
            ):
                list(engine.query(query))

    def test_inspect_agrees_with_the_rows(self, bench: SinkBench) -> None:
        """Each property by coverage and name, its types, different values, and the days."""
        bench.needs("query")
        rows = zip("abcde", _PROPERTIES, _SEEN, strict=True)
        bench.store({0: Batch.from_rows(_row(*row) for row in rows)})
        landed = bench.case.rows(bench.table) or ()
        with _reading(bench) as engine, promised("inspect must say what is in a table"):
            summary: TableSummary = engine.inspect(bench.table, top=2)
        shown = (summary.table, summary.rows)
        assert shown == (bench.table, len(landed)), f"inspect must be about the table, not {shown}"
        expected = _fold([row["properties"] for row in landed])
        names = [one.name for one in summary.properties]
        in_order = sorted(expected, key=lambda name: (-len(expected[name]), name))
        assert names == in_order, f"properties must be {in_order}, in this order, not {names}"
        for one in summary.properties:
            _assert_agrees(one, expected[one.name])
        _assert_days(summary, [row["last_seen"] for row in landed])

    def test_inspect_refuses_a_missing_table(self, bench: SinkBench) -> None:
        """Beside one that is there."""
        bench.needs("query")
        bench.store({0: batch("a")})
        with (
            _reading(bench) as engine,
            refused(TableNotFoundError, "inspect of a missing table must be refused"),
        ):
            engine.inspect(f"{bench.table}_missing")

    def test_reading_creates_nothing(self, bench: SinkBench) -> None:
        """A destination that is not there may be refused, and is not there afterwards."""
        bench.needs("query")
        missing = bench.case.select_all(bench.table)
        with _reading(bench) as engine:
            for ask in (
                engine.tables,
                lambda: list(engine.query(missing)),
                lambda: engine.inspect(bench.table),
            ):
                with (
                    promised("reading what is not there is refused, or finds nothing"),
                    suppress(ConfigError, TableNotFoundError),
                ):
                    ask()
        bench.assert_same(None, "reading must create nothing")
        with promised("a table must be created after reading as before"):
            bench.store({0: batch("a")})

    def test_what_was_not_read_to_its_end_is_let_go(self, bench: SinkBench) -> None:
        """``close`` may come in the middle of an answer, and twice; then others may write."""
        bench.needs("query", "replace")
        bench.store({0: batch("a", "b")})
        engine = bench.engine()
        with promised("an engine must be closed in the middle of an answer, and twice"):
            answer = iter(engine.query(bench.case.select_all(bench.table)))
            next(answer)
            engine.close()
            engine.close()
        with promised("after reading, others must be able to write"):
            bench.store({0: batch("c")}, "replace")
        bench.assert_holds({0: batch("c")}, "what is written after reading must be there")


@contextmanager
def _reading(bench: SinkBench) -> Iterator[Any]:
    engine = bench.engine()
    try:
        yield engine
    finally:
        engine.close()


def _names(bench: SinkBench) -> list[str]:
    with _reading(bench) as engine, promised("tables must be listed"):
        return [one.name for one in engine.tables()]


def _row(distinct_id: str, properties: Mapping[str, Any], seen: Any) -> dict[str, Any]:
    return {"distinct_id": distinct_id, "properties": properties, "last_seen": seen}


def _fold(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for properties in rows:
        for name, value in properties.items():
            values.setdefault(name, []).append(value)
    return values


def _assert_agrees(one: PropertySummary, values: Sequence[Any]) -> None:
    __tracebackhide__ = True
    of = f"inspect of the property {one.name!r}"
    assert one.present == len(values), f"{of} must say {len(values)} rows, not {one.present}"
    types = dict(Counter(map(_type, values)))
    assert dict(one.types) == types, f"{of} must say the types {types}, not {dict(one.types)}"
    counts = Counter(_text(value) for value in values if value is not None)
    if one.distinct_is_exact:
        assert one.distinct == len(counts), (
            f"{of} must say {len(counts)} different values, not {one.distinct}"
        )
    frequent = [rows for _, rows in counts.most_common(2)]
    assert [rows for _, rows in one.top] == frequent, (
        f"{of} must show {len(frequent)} values, those of {frequent} rows, not {one.top}"
    )
    for value, rows in one.top:
        with promised(f"{of} must show its values as JSON"):
            text = _text(json.loads(value))
        assert counts[text] == rows, f"{of} must count {counts[text]} rows for {value}, not {rows}"


def _assert_days(summary: TableSummary, instants: Sequence[datetime | None]) -> None:
    __tracebackhide__ = True
    seen = [one if one.tzinfo else one.replace(tzinfo=timezone.utc) for one in instants if one]
    days = sorted(Counter(one.astimezone(timezone.utc).date() for one in seen).items())
    assert list(summary.days) == days, f"inspect must count the days {days}, not {summary.days}"
    never = len(instants) - len(seen)
    assert summary.never_seen == never, (
        f"inspect must say that {never} rows have no last_seen, not {summary.never_seen}"
    )


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
