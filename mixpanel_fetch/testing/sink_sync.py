"""The capability ``sync``: tables that are kept in step, and what is remembered of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.model import LoadReport, RunInfo
from mixpanel_fetch.sync import Deletion, SyncOrder, SyncState
from mixpanel_fetch.testing.promises import promised
from mixpanel_fetch.testing.sink_bench import Pages, SinkBench, write_all

BEGAN = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
NEWEST = datetime(2026, 2, 28, 9, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)
FULL = SyncOrder("key-1", "full")
INCREMENTAL = SyncOrder("key-1", "incremental", since=NEWEST)


class SinkSyncTests:
    """Skipped unless the sink claims ``sync``; a sink that does not must be refused."""

    def test_a_table_without_a_sync_has_no_state(self, bench: SinkBench) -> None:
        """Asked before the first run, and of a table that was only fetched."""
        bench.needs("sync")
        words = "a table that was never kept in step has no state"
        assert state_of(bench) is None, words
        bench.assert_same(None, "sync_state must make no table")
        bench.store({0: people("a")})
        assert state_of(bench) is None, words

    def test_a_complete_full_run_is_remembered(self, bench: SinkBench) -> None:
        """A new engine knows the key, the newest ``last_seen``, and when the run began."""
        bench.needs("sync")
        pages = {0: people("a"), 1: people("b", seen=NEWEST - DAY), 2: people("c", seen=None)}
        sync(bench, pages, FULL)
        _assert_state(bench, SyncState("key-1", NEWEST, BEGAN), "after a complete full run")

    def test_the_cursor_only_moves_on(self, bench: SinkBench) -> None:
        """An incremental run says nothing of the whole, and an empty one nothing at all."""
        bench.needs("sync")
        sync(bench, {0: people("a")}, FULL)
        later = NEWEST + DAY
        for page, cursor in ((people("b", seen=later), later), (Batch(), later)):
            sync(bench, {0: page}, INCREMENTAL, started_at=BEGAN + DAY)
            words = f"after an incremental run of {len(page)} rows"
            _assert_state(bench, SyncState("key-1", cursor, BEGAN), words)
        sync(bench, {0: people("a")}, FULL, started_at=BEGAN + 2 * DAY)
        words = "after a full run whose rows are all older than the cursor"
        _assert_state(bench, SyncState("key-1", later, BEGAN + 2 * DAY), words)

    @pytest.mark.parametrize("order", [FULL, INCREMENTAL], ids=["full", "incremental"])
    def test_an_incomplete_run_moves_nothing(self, bench: SinkBench, order: SyncOrder) -> None:
        """Its rows land all the same, and nobody is gone: who did not come is not known."""
        bench.needs("sync")
        old, new = people("a", "b"), people("c", seen=NEWEST + DAY)
        sync(bench, {0: old}, FULL)
        report = sync(bench, {0: new}, order, complete=False, started_at=BEGAN + DAY)
        _assert_state(bench, SyncState("key-1", NEWEST, BEGAN), "after an incomplete run")
        bench.assert_holds({0: old, 1: new}, "the rows of an incomplete run must be there")
        assert not report.gone, f"nobody is gone after an incomplete run, not {report.gone} rows"
        _assert_marked(bench, {}, "nobody is gone after an incomplete run")

    def test_replace_forgets_the_state(self, bench: SinkBench) -> None:
        """It is another table now."""
        bench.needs("sync", "replace")
        sync(bench, {0: people("a")}, FULL)
        bench.store({0: people("b")}, "replace")
        found = state_of(bench)
        assert found is None, f"a table that replace made anew has no state, not {found}"

    def test_only_what_differs_is_updated(self, bench: SinkBench) -> None:
        """By value: the order of properties says nothing."""
        bench.needs("sync")
        ids = ("same", "shuffled", "edited", "seen")
        text = b'{"x":1,"y":[2,{"b":3,"a":4}]}'
        sync(bench, {0: Batch(list(ids), [text] * 4, [NEWEST] * 4)}, FULL)
        shuffled, edited = b'{"y":[2,{"b":3,"a":4}],"x":1}', b'{"x":2}'
        came = Batch(
            ["new", *ids],
            [b"{}", text, shuffled, edited, text],
            [None, NEWEST, NEWEST, NEWEST, NEWEST + DAY],
        )
        report = sync(bench, {0: came}, FULL)
        said = (report.inserted, report.updated, report.unchanged, report.total_rows)
        assert said == (1, 2, 2, 5), (
            "a new row is inserted, one edited and one seen again are updated; one that is the"
            " same and one whose properties stand in another order are unchanged: of (inserted,"
            f" updated, unchanged, total_rows) that is (1, 2, 2, 5), not {said}"
        )
        bench.assert_holds({0: came}, "the table must hold what came")

    def test_who_is_gone_is_counted_before(self, bench: SinkBench) -> None:
        """Nothing changes by asking; of a table that is not there, nobody is gone."""
        bench.needs("sync")
        counted = _counted(bench, {0: people("a")})
        assert counted == (0, 0), f"nobody is gone where no table is: not {counted}"
        sync(bench, {0: people("a", "b", "c")}, FULL)
        before = bench.rows()
        counted = _counted(bench, {0: people("a"), 1: people("new", "a")})
        assert counted == (2, 3), f"2 of 3 rows did not come; count_gone must not say {counted}"
        bench.assert_same(before, "count_gone must leave the table as it was")
        _assert_marked(bench, {}, "count_gone must leave the table as it was")

    @pytest.mark.parametrize(
        ("delete", "kept", "gone"), [("mark", "abc", 2), ("hard", "a", 2), ("ignore", "abc", 0)]
    )
    def test_who_is_gone_goes_as_ordered(
        self, bench: SinkBench, delete: Deletion, kept: str, gone: int
    ) -> None:
        """Marked in ``deleted_at`` with when the run began, taken out, or left alone."""
        bench.needs("sync")
        order = replace(FULL, delete=delete)
        sync(bench, {0: people("a", "b", "c")}, order)
        began = BEGAN + DAY
        report = sync(bench, {0: people("a")}, order, started_at=began)
        words = f"where 2 of 3 did not come and delete is {delete}"
        assert report.gone == gone, f"{words}, the report must say {gone} gone, not {report.gone}"
        found = "".join(sorted(marks_of(bench)))
        assert found == kept, f"{words}, the table must hold {kept}, not {found}"
        marks = {"b": began, "c": began} if delete == "mark" else {}
        _assert_marked(bench, marks, words)
        counted = _counted(bench, {0: people("a")})
        left = (2, 3) if delete == "ignore" else (0, 1)
        assert counted == left, f"{words}, count_gone must say {left} after it, not {counted}"
        again = sync(bench, {0: people("a")}, order, started_at=began + DAY)
        assert not again.gone, f"who is gone already is not gone again: not {again.gone} rows"
        _assert_marked(bench, marks, f"{words}, and not for the first time")

    @pytest.mark.parametrize("order", [FULL, INCREMENTAL], ids=["full", "incremental"])
    def test_who_comes_back_is_live_again(self, bench: SinkBench, order: SyncOrder) -> None:
        """Which is an update, even where nothing else differs."""
        bench.needs("sync")
        for came in (people("a", "b"), people("a")):
            sync(bench, {0: came}, FULL)
        report = sync(bench, {0: people("a", "b")}, order)
        assert report.updated == 1, f"who comes back is updated: 1 row, not {report.updated}"
        _assert_marked(bench, {}, "who comes back is live again")

    def test_nobody_is_gone_after_an_incremental_run(self, bench: SinkBench) -> None:
        """It brings only what changed."""
        bench.needs("sync")
        old = people("a", "b")
        sync(bench, {0: old}, FULL)
        report = sync(bench, {0: people("a")}, INCREMENTAL)
        words = "nobody is gone after an incremental run"
        assert not report.gone, f"{words}, not {report.gone} rows"
        bench.assert_holds({0: old}, words)
        _assert_marked(bench, {}, words)

    @pytest.mark.parametrize("end", ["crash", "suspend"])
    def test_an_interrupted_sync_goes_on(self, bench: SinkBench, end: str) -> None:
        """As what it was: its order is part of the run, and a whole one it is in the end."""
        bench.needs("sync", "resume")
        sync(bench, {0: people("a", "b", "c")}, FULL)
        run = sync_run(bench, FULL, total_pages=2, started_at=BEGAN + DAY)
        bench.leave({0: people("a")}, run, end=end)
        words = f"a sync must go on after {end}"
        _assert_marked(bench, {}, f"after {end}, the table must be as it was")
        found = bench.engine().interrupted(bench.table)
        assert found is not None, f"{words}; interrupted says that there is no run"
        assert found.sync == FULL, f"{words} with its order, not {found.sync}"
        with promised(words):
            report = finish(bench, run, {1: people("b")}, complete=True)
        assert report.gone == 1, f"{words} and see that 1 row is gone, not {report.gone}"
        _assert_marked(bench, {"c": BEGAN + DAY}, words)
        _assert_state(bench, SyncState("key-1", NEWEST, BEGAN + DAY), words)

    def test_the_rest_of_a_published_sync_is_no_whole(self, bench: SinkBench) -> None:
        """What was public already is not staged any more: who is missing in the rest is there."""
        bench.needs("sync", "resume")
        sync(bench, {0: people("a", "b")}, FULL)
        run = sync_run(bench, FULL, total_pages=2, started_at=BEGAN + DAY)
        finish(bench, run, {0: people("a")}, complete=False)
        words = "nobody is gone where a part of the run was public before"
        with promised("the rest of a sync must be added to what is public"):
            report = finish(bench, run, {1: people("b", "new")}, complete=True)
        assert not report.gone, f"{words}, not {report.gone} rows"
        _assert_marked(bench, {}, words)
        found = "".join(sorted(marks_of(bench), key=len))
        assert found == "abnew", f"{words}; the table holds {sorted(marks_of(bench))}"


def people(*ids: str, seen: datetime | None = NEWEST, **properties: Any) -> Batch:
    """Return a batch of profiles with the same properties, seen at the same time."""
    fields = properties or {"value": 1}
    return Batch.from_rows(
        {"distinct_id": one, "properties": fields, "last_seen": seen} for one in ids
    )


def sync_run(bench: SinkBench, order: SyncOrder, **changes: Any) -> RunInfo:
    """Return a run with an order, which began at ``BEGAN``."""
    fields = {"fingerprint": {"project": "12345", "sync": order.text()}, "started_at": BEGAN}
    return bench.info("merge", **{**fields, **changes})


def sync(
    bench: SinkBench, pages: Pages, order: SyncOrder, *, complete: bool = True, **changes: Any
) -> LoadReport:
    """Bring the table in step with ``pages`` in one run; return what was said of it."""
    run = sync_run(bench, order, **{"total_pages": len(pages), **changes})
    with promised("a table must be brought in step"):
        return finish(bench, run, pages, complete=complete)


def finish(bench: SinkBench, run: RunInfo, pages: Pages, *, complete: bool) -> LoadReport:
    """Begin a run, or go on with it, and publish it as the pipeline does."""
    engine, load = bench.begin(run)
    write_all(load, pages)
    if complete:
        load.count_gone()
    report: LoadReport = load.commit_in_step(complete=complete)
    engine.close()
    return report


def state_of(bench: SinkBench) -> SyncState | None:
    """Return what a new engine says."""
    engine = bench.engine()
    with promised("sync_state must answer"):
        state: SyncState | None = engine.sync_state(bench.table)
    engine.close()
    return state


def marks_of(bench: SinkBench) -> dict[str, datetime | None]:
    """Return each id in the table, and since when it is marked as gone."""
    rows = bench.case.rows(bench.table) or ()
    return {row["distinct_id"]: _aware(row.get("deleted_at")) for row in rows}


def _counted(bench: SinkBench, pages: Pages) -> tuple[int, int]:
    engine, load = bench.begin(sync_run(bench, FULL, total_pages=len(pages)))
    write_all(load, pages)
    with promised("count_gone must count"):
        gone, rows = load.count_gone()
    load.abort()
    engine.close()
    return gone, rows


def _assert_state(bench: SinkBench, expected: SyncState, words: str) -> None:
    __tracebackhide__ = True
    found = state_of(bench)
    assert found == expected, f"{words}, sync_state must be {expected}, not {found}"


def _assert_marked(bench: SinkBench, expected: dict[str, datetime], words: str) -> None:
    __tracebackhide__ = True
    found = {one: since for one, since in marks_of(bench).items() if since is not None}
    assert found == expected, f"{words}: deleted_at must be {expected}, not {found}"


def _aware(instant: datetime | None) -> datetime | None:
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=timezone.utc)
