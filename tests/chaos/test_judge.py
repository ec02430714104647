"""The judge can say no: each thing that it is there to find, shown to it once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .course import at_once
from .judge import Case, Outcome, verdict
from .reference import Reference, stored
from .sinks import SINKS, Memory


def profile(number, origin="new"):
    properties = {"origin": origin, "n": 1, "$last_seen": "2026-01-02T03:04:05"}
    return {"$distinct_id": f"id-{number}", "$properties": properties}


def rows_of(*profiles):
    return [stored(one) for one in profiles]


NEW = [profile(number) for number in range(6)]
OLD = [profile(number, "old") for number in (0, 7)]
REFERENCE = Reference("replace", [NEW[:2], NEW[2:4], NEW[4:]], OLD)
DOCUMENT = {
    "run_id": "r",
    "mode": "replace",
    "published": True,
    "interrupted": False,
    "failed_page_indices": [],
    "failed_pages": 0,
    "successful_pages": 3,
    "missing_rows": 0,
    "total_rows": 6,
}
GOOD = Case(
    REFERENCE, rows_of(*OLD), rows_of(*NEW), Outcome(0, DOCUMENT), Memory("r", "complete", ())
)


def outcome(code=0, **changes):
    return Outcome(code, {**DOCUMENT, **changes})


def without_page_1(mode, table):
    """A partial result that is right in itself, in ``mode``."""
    said = outcome(
        1,
        mode=mode,
        failed_page_indices=[1],
        failed_pages=1,
        successful_pages=2,
        missing_rows=2,
        total_rows=4,
    )
    reference = replace(REFERENCE, mode=mode)
    return Case(reference, None, rows_of(*table), said, Memory("r", "partial", (1,)))


def test_what_is_right_passes():
    assert verdict(GOOD) == []
    assert verdict(without_page_1("create", NEW[:2] + NEW[4:])) == []
    kept = [*OLD, *NEW[1:]]
    appended = replace(GOOD, reference=replace(REFERENCE, mode="append"))
    assert verdict(replace(appended, after=rows_of(NEW[0], *kept[1:]))) == []
    unpublished = outcome(
        1,
        published=False,
        failed_page_indices=[1],
        failed_pages=1,
        successful_pages=2,
        missing_rows=2,
    )
    memory = Memory("r", "suspended", (1,))
    assert verdict(replace(GOOD, after=GOOD.before, outcome=unpublished, memory=memory)) == []
    assert verdict(replace(GOOD, after=GOOD.before, outcome=Outcome(-9), memory=None)) == []
    assert verdict(replace(GOOD, outcome=Outcome(-9))) == []


LISTED_TWICE = [*NEW, NEW[0]]
CHANGED = {"$distinct_id": "id-0", "$properties": {**NEW[0]["$properties"], "n": 1.0}}
LATER = {"$distinct_id": "id-0", "$properties": {"origin": "new", "n": 1}}


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (NEW[1:], "1 rows missing: id-0"),
        ([*NEW, profile(9)], "1 rows extra: id-9"),
        ([*NEW, OLD[1]], "1 rows extra: id-7"),
        ([CHANGED, *NEW[1:]], "1 rows changed: id-0"),
        ([LATER, *NEW[1:]], "1 rows changed: id-0"),
        (LISTED_TWICE, "1 ids stand there more than once"),
    ],
)
def test_a_table_that_is_not_what_was_sent_is_refused(table, complaint):
    complaints = verdict(replace(GOOD, after=rows_of(*table)))
    assert any(complaint in one for one in complaints), complaints


def test_a_table_that_is_not_there_is_refused():
    assert "there is no table" in verdict(replace(GOOD, after=None))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (outcome(1), "exit 1, and nothing is missing"),
        (outcome(missing_rows=2), "missing_rows 2, not 0 to 0"),
        (outcome(total_rows=5), "total_rows says 5; 6 rows are there"),
        (outcome(successful_pages=2), "2 successful pages, 0 failed"),
        (outcome(failed_page_indices=[8], failed_pages=1), "failed pages that do not exist: [8]"),
        (outcome(run_id="other"), "not what the destination remembers"),
        (outcome(published=False), "exit 0, and nothing was published"),
        (outcome(published=False), "the table was to stay as it was, and did not"),
        (Outcome(0), "exit 0 without a result"),
        (Outcome(1, error="x"), "the table was to stay as it was, and did not"),
        (replace(outcome(), stderr="Traceback (most recent call last)"), "'Traceback' in what"),
    ],
)
def test_a_result_that_lies_is_refused(said, complaint):
    complaints = verdict(replace(GOOD, outcome=said))
    assert any(complaint in one for one in complaints), complaints


def test_a_missing_page_must_be_named():
    lacking = replace(GOOD, after=rows_of(*NEW[:2], *NEW[4:]), outcome=outcome(total_rows=4))
    assert any("2 rows missing" in one for one in verdict(lacking))
    too_much_said = replace(without_page_1("create", NEW), memory=Memory("r", "partial", (1,)))
    assert any("2 rows extra" in one for one in verdict(too_much_said))
    forgotten = replace(
        without_page_1("create", NEW[:2] + NEW[4:]), memory=Memory("r", "complete", ())
    )
    assert any("are to be resumed" in one for one in verdict(forgotten))


def test_exit_0_with_a_short_page_is_refused():
    short = replace(
        GOOD, after=rows_of(*NEW[:-1]), outcome=outcome(total_rows=5), shortened={2: {1}}
    )
    assert any("exit 0, and pages [] and 1 rows are missing" in one for one in verdict(short))
    named = outcome(1, total_rows=5, missing_rows=1)
    assert verdict(replace(short, outcome=named)) == []
    # One row was left out by the server; two lack.
    assert verdict(replace(short, after=rows_of(*NEW[:-2]), outcome=named))


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_published_partial_is_refused_where_the_mode_forbids_it(mode):
    table = NEW[:2] + NEW[4:] + ([OLD[1]] if mode == "merge" else [])
    complaints = verdict(without_page_1(mode, table))
    assert any("published a partial" in one for one in complaints), complaints


def test_an_old_table_must_stay_byte_for_byte():
    killed = replace(GOOD, outcome=Outcome(-9), memory=None)
    respelled = [(row[0], row[1].strip(), row[2]) for row in GOOD.before or ()]
    assert verdict(replace(killed, after=GOOD.before)) == []
    assert verdict(replace(killed, after=respelled))
    assert verdict(replace(killed, after=None))


class Request:
    fault = None

    def __init__(self, started, finished):
        self.started, self.finished = started, finished


def test_six_at_once_are_one_too_many():
    assert at_once([Request(0, 1)] * 5 + [Request(1, 2)] * 5) == []
    assert at_once([Request(0, 1)] * 5 + [Request(0.5, 2)]) == ["6 requests in flight at once"]


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_what_is_laid_is_what_is_seen(sink, tmp_path):
    assert sink.look(tmp_path / "place", "users").rows is None
    sink.lay(tmp_path / "place", "users", rows_of(*OLD))
    assert sink.look(tmp_path / "place", "users").rows == rows_of(*OLD)
    assert sink.look(tmp_path / "place", "others").rows is None
