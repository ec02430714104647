"""Values that stores like to change: every one must come back as it was sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.testing.promises import promised
from mixpanel_fetch.testing.sink_bench import SEEN, SinkBench, batch, write_all

_DEEP = "[" * 40 + '{"k":null}' + "]" * 40

VALUES: dict[str, tuple[str, ...]] = {
    "unicode": (
        '{"text":"naïve 名前 \U0001f468\u200d\U0001f469 مرحبا","名前":"e\u0301 \u00e9"}',
        r'{"text":"\ud83d\ude00 \u00e9 \u2028","escaped":"a\/b\\\"c\t\u0001"}',
    ),
    "NUL": (r'{"text":"a\u0000b"}', r'{"key\u0000":1,"list":["\u0000"]}'),
    "nested": (
        f'{{"deep":{_DEEP}}}',
        '{"cart":[{"sku":"a","n":[1,[2,{}]]},[],{"x":{"y":{"z":[null,true]}}}],"o":{}}',
    ),
    "nulls": ('{"plan":null}', '{"list":[null,{"a":null}],"text":"null"}', "{}"),
    "large integers": (
        '{"n":9007199254740993,"m":-9007199254740993}',
        '{"n":9223372036854775808,"m":-9223372036854775809}',
        '{"n":[18446744073709551617,1234567890123456789012345678901234567890]}',
    ),
    "floats": ('{"n":0.1,"m":5e-324,"o":1.7976931348623157e308}', '{"n":1.10,"m":3.0,"o":1E+2}'),
    "booleans and numbers": ('{"a":true,"b":1,"c":1.0,"d":"1","e":"true"}',),
    "keys with $, dots and quotes": (
        '{"$custom":1,"pa$t":2,"$":3,"a.b":4,"a":{"b":5},".":6}',
        r'{"say \"hi\"":1,"it' + r"'s" + r'":2,"back\\slash":3,"`":4,"a[0]":5,"%s":6,"":7}',
        r'{" lead":1,"trail ":2,"line\nbreak":3,"0":4,"-1":5,"select":6,":p":7,"?":8}',
    ),
    "keys that differ only in case": ('{"name":"a","Name":"b","NAME":{"x":1,"X":2}}',),
    "keys named like columns": (
        '{"distinct_id":"not it","properties":{"a":1},"last_seen":"never","$properties":2}',
    ),
    "long texts": (f'{{"text":"{"x" * 70_000}"}}', f'{{"{"k" * 300}":1}}'),
    "texts that look like something else": (
        '{"a":"\'); DROP TABLE profiles;--","b":"{\\"a\\": 1}","c":"007","d":"1e3","e":"NaN"}',
        '{"a":"2026-01-31T00:00:00","b":"\\\\N","c":"","d":"a,b;c\\td","e":"\\r\\n"}',
    ),
    "white space between tokens": ('{ "a" :\t1 ,\n  "b" : [ 1 ,\r\n 2 ] }',),
}
"""Properties as they may come, by what is odd about them. Lone surrogates do not: they are mended
when a page is read."""

IDS: dict[str, tuple[str, ...]] = {
    "that differ only in case": ("Anna", "anna", "ANNA"),
    "that differ in blanks": ("a", "a ", " a", "a\t"),
    "that differ in their spelling of an accent": ("\u00e9", "e\u0301", "e"),
    "that look like numbers": ("1", "01", "1.0", "1e0", "18446744073709551617"),
    "with quotes and the like": ("a'b", 'a"b', "a\\b", "a%b", "a_b", "a,b", "a\nb", "a;--", "$x:1"),
    "in other scripts": ("名前", "\U0001f600", "مرحبا"),
    "with NUL": ("a\0b",),
    "of 255 characters": ("i" * 254 + "1", "i" * 254 + "2"),
    "named null": ("null", "NULL", "None", "undefined"),
}
"""Ids that must stay apart, by what is odd about them."""

INSTANTS = (
    None,
    SEEN,
    datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc),  # a local clock may skip it
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
    datetime(1, 1, 1, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
)
TYPES = ("1", "1.5", '"1"', "true", "null", "[1]", '{"one":1}', '"2026-01-31T00:00:00"', "[[]]")


class SinkValueTests:
    """Ids, properties and instants come back as they were sent."""

    def test_properties_come_back(self, bench: SinkBench) -> None:
        """Exact numbers, every character, nothing flattened: one page for each kind of oddity."""
        pages = {
            index: Batch(
                [f"{kind} {number}" for number in range(len(texts))],
                [text.encode() for text in texts],
                [None] * len(texts),
            )
            for index, (kind, texts) in enumerate(VALUES.items())
        }
        _store_kinds(bench, pages, "properties with", VALUES)
        bench.assert_holds(pages, "properties must come back as they were sent")

    def test_ids_come_back(self, bench: SinkBench) -> None:
        """And those that differ stay apart: one page for each kind of oddity."""
        pages = {index: batch(*ids) for index, ids in enumerate(IDS.values())}
        _store_kinds(bench, pages, "ids", IDS)
        bench.assert_holds(pages, "ids must come back as they were sent, each with its own row")

    def test_instants_come_back(self, bench: SinkBench) -> None:
        """``last_seen`` in UTC, to the microsecond (or ``SinkCase.last_seen_step``), or none."""
        page = Batch(
            [f"row-{number}" for number in range(len(INSTANTS))],
            [b"{}"] * len(INSTANTS),
            list(INSTANTS),
        )
        words = "last_seen must come back as the same instant in UTC"
        with promised(words):
            bench.store({0: page})
        bench.assert_holds({0: page}, words)

    def test_types_may_change_from_page_to_page(self, bench: SinkBench) -> None:
        """No page decides what the next one may hold."""
        pages = {
            index: Batch([f"row-{index}"], [f'{{"v":{text}}}'.encode()], [None])
            for index, text in enumerate(TYPES)
        }
        words = "a property may have another type in the next page"
        with promised(words):
            bench.store(pages)
        bench.assert_holds(pages, words)

    def test_properties_may_come_and_go(self, bench: SinkBench) -> None:
        """A page may bring names that no page before it had, and hundreds of them."""
        texts = ['{"a":1}', "{}", '{"b":2}']
        texts.append("{" + ",".join(f'"p{number}":{number}' for number in range(500)) + "}")
        pages = {i: Batch([f"row-{i}"], [t.encode()], [None]) for i, t in enumerate(texts)}
        words = "a page may bring properties that no page before it had"
        with promised(words):
            bench.store(pages)
        bench.assert_holds(pages, words)

    def test_what_is_replaced_is_counted(self, bench: SinkBench) -> None:
        """A value that the store cannot hold is no secret: ``repaired_values`` counts it."""
        if not bench.case.replaced:
            pytest.skip("the case says that nothing is replaced")
        character = next(iter(bench.case.replaced))
        report = bench.store({0: batch("a", value=f"x{character}"), 1: batch("b")})
        assert report.repaired_values >= 1, (
            f"commit must count in repaired_values that {character!r} was replaced,"
            f" not say {report.repaired_values}"
        )


def _store_kinds(
    bench: SinkBench, pages: Mapping[int, Batch], what: str, kinds: Iterable[str]
) -> None:
    """Store one page a kind, so that it is known which of them is not taken."""
    engine, load = bench.begin(bench.info(total_pages=len(pages)))
    for index, kind in enumerate(kinds):
        with promised(f"a sink must take {what} {kind}"):
            write_all(load, {index: pages[index]})
    with promised(f"a sink must take {what} {', '.join(kinds)}"):
        load.commit()
    engine.close()
