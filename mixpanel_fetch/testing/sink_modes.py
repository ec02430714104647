"""Modes: what each does to a table that is there, or is not."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import TableExistsError, TableNotFoundError
from mixpanel_fetch.model import Mode
from mixpanel_fetch.testing.promises import promised, refused
from mixpanel_fetch.testing.sink_bench import SinkBench, batch, ids_of, write_all

OVER_OLD: tuple[Mode, ...] = ("append", "replace", "merge")
EVERY: tuple[Mode, ...] = ("create", *OVER_OLD)
OLD = batch("old", "both", value="old", gone=1)
NEW = batch("both", "new", value="new", come=2)


SHARING = {
    0: batch("same", "a", "same", value="page 0"),
    1: batch("b", "same", value="page 1"),
    2: batch("c", value="page 2"),
}


class SinkModeTests:
    """``create``, and of the others what the sink claims."""

    def test_create_refuses_a_table_that_is_there(self, bench: SinkBench) -> None:
        """TableExistsError, exit code 3, at the latest from ``begin``; the rows stay."""
        bench.needs_taking_back()
        before = bench.lay()
        words = "create must refuse a table that is there with a TableExistsError"
        engine = bench.engine()
        with refused(TableExistsError, words):
            bench.begin(bench.info(), engine)
        with promised("close must work after a refusal"):
            engine.close()
        bench.assert_same(before, f"{words} and leave it")

    def test_append_refuses_a_table_that_is_missing(self, bench: SinkBench) -> None:
        """TableNotFoundError, exit code 3; nothing is made."""
        bench.needs("append")
        bench.needs_taking_back()
        words = "append must refuse a table that is missing with a TableNotFoundError"
        engine = bench.engine()
        with refused(TableNotFoundError, words):
            bench.begin(bench.info("append"), engine)
        engine.close()
        bench.assert_same(None, f"{words} and make none")

    def test_append_adds_to_what_is_there(self, bench: SinkBench) -> None:
        """Keyed: an upsert of whole rows, the fetched one wins. Else every row is added."""
        bench.needs("append")
        bench.store({0: OLD})
        bench.store({0: NEW}, "append")
        words = "append must keep the rows that are there and add those that come"
        bench.assert_holds({0: OLD, 1: NEW}, words)

    def test_merge_is_an_upsert_of_whole_rows(self, bench: SinkBench) -> None:
        """Rows that did not come stay; of those that did, nothing old is left."""
        bench.needs("merge")
        bench.store({0: OLD})
        bench.store({0: NEW}, "merge")
        words = "merge must keep rows that did not come, and replace those that did as a whole"
        bench.assert_holds({0: OLD, 1: NEW}, words)

    def test_replace_leaves_nothing_of_the_old_rows(self, bench: SinkBench) -> None:
        """The new rows take the place of the table."""
        bench.needs("replace")
        bench.store({0: OLD})
        bench.store({0: NEW}, "replace")
        bench.assert_holds({0: NEW}, "replace must leave the rows of its run and no others")

    @pytest.mark.parametrize("mode", ["replace", "merge"])
    def test_a_missing_table_is_made(self, bench: SinkBench, mode: Mode) -> None:
        """Both make a table where there is none."""
        bench.needs(mode)
        with promised(f"{mode} must make a missing table"):
            bench.store({0: NEW}, mode)
        bench.assert_holds({0: NEW}, f"{mode} must make a missing table")

    @pytest.mark.parametrize("mode", ["replace", "merge"])
    def test_twice_is_once(self, bench: SinkBench, mode: Mode) -> None:
        """A run that is repeated changes nothing."""
        bench.needs(mode)
        for _ in range(2):
            bench.store({0: NEW, 1: OLD}, mode)
        bench.assert_holds({0: NEW, 1: OLD}, f"{mode} of the same pages twice must equal once")

    @pytest.mark.parametrize("mode", OVER_OLD)
    def test_the_report_tells_new_rows_from_old(self, bench: SinkBench, mode: Mode) -> None:
        """Where ``inserted`` and ``updated`` are counted, they are right."""
        bench.needs(mode)
        bench.store({0: OLD})
        report = bench.store({0: NEW, 1: batch("more")}, mode)
        inserted, updated = (2, 1) if bench.keyed and mode != "replace" else (3, 0)
        said = (report.total_rows, report.inserted, report.updated)
        right = (3, inserted, updated)
        assert all(a in {None, b} for a, b in zip(said, right, strict=True)), (
            f"commit of {mode} must say total_rows, inserted, updated = {right}"
            f" (or None where it does not know), not {said}"
        )

    @pytest.mark.parametrize("mode", EVERY)
    def test_nothing_shows_before_commit(self, bench: SinkBench, mode: Mode) -> None:
        """The table becomes visible whole; until then, what was there is."""
        bench.needs(mode)
        bench.needs_taking_back()
        before = None if mode == "create" else bench.lay()
        engine, load = bench.begin(bench.info(mode, total_pages=2))
        write_all(load, {0: NEW, 1: batch("more")})
        bench.assert_same(before, f"nothing of a run in mode {mode} must show before commit")
        load.commit()
        engine.close()
        assert "more" in ids_of(bench.rows()), f"commit of {mode} must show every row"

    def test_a_stream_shows_its_rows_at_once(self, bench: SinkBench) -> None:
        """That is what claiming ``stream`` says."""
        bench.needs("stream")
        engine, load = bench.begin(bench.info(total_pages=2))
        write_all(load, {1: NEW})
        found = bench.rows()
        load.abort()
        engine.close()
        assert ids_of(found) == ids_of(bench.expected({1: NEW})), (
            "a sink that claims stream must show a page's rows when write returns"
        )

    @pytest.mark.parametrize("mode", EVERY)
    def test_abort_leaves_the_table_as_it_was(self, bench: SinkBench, mode: Mode) -> None:
        """Nothing of the run is kept, and the next one is not in its way."""
        bench.needs(mode)
        bench.needs_taking_back()
        self._left(bench, mode, "abort")

    @pytest.mark.parametrize("mode", EVERY)
    @pytest.mark.parametrize("end", ["suspend", "crash"])
    def test_an_interrupted_run_leaves_the_table_as_it_was(
        self, bench: SinkBench, mode: Mode, end: str
    ) -> None:
        """Where nothing can be resumed, nothing of the run is kept."""
        bench.needs(mode)
        bench.needs_taking_back()
        if "resume" in bench.capabilities:
            pytest.skip("the sink claims resume: tested there")
        self._left(bench, mode, end)

    @staticmethod
    def _left(bench: SinkBench, mode: Mode, end: str) -> None:
        before = None if mode == "create" else bench.lay()
        with promised(f"{end} must work after pages were written"):
            bench.leave({0: NEW, 1: batch("more")}, bench.info(mode, total_pages=3), end=end)
        words = f"after {end} of a run in mode {mode}, the table must be as it was"
        bench.assert_same(before, words)
        with promised(f"after {end}, a new run must be possible"):
            bench.store({0: batch("next")}, mode)
        found = ids_of(bench.rows())
        assert "next" in found, f"after {end}, a new run must store its rows"
        assert "more" not in found, f"a new run must not bring rows of one that ended in {end}"

    def test_an_error_in_write_spoils_no_other_run(self, bench: SinkBench) -> None:
        """A page lands whole or not at all; after abort, a new run starts from nothing."""
        bad = Batch(["good", "bad"], [b"{}", None], [None, None])  # type: ignore[list-item]
        engine, load = bench.begin(bench.info(total_pages=3))
        write_all(load, {0: batch("first")})
        if not _fails(load, bad):
            load.abort()
            engine.close()
            pytest.skip("the sink takes properties that are no bytes")
        with promised("abort and close must work after an error in write"):
            load.abort()
            engine.close()
        if not bench.streams:
            bench.assert_same(None, "after an error in write and abort, nothing must be left")
        with promised("after an error in write and abort, a new run must work"):
            engine, load = bench.begin(bench.info(), engine)
            write_all(load, {0: batch("good", "next")})
            load.commit()
            engine.close()
        found = [one for one in ids_of(bench.rows()) if one != "first" or not bench.streams]
        assert found == ["good", "next"], (
            f"the run after an error in write must store its own rows only, not {found}"
        )

    def test_count_knows_an_empty_table_from_a_full_one(self, bench: SinkBench) -> None:
        """Asked before an empty answer takes the place of rows. Any positive number says "some"."""
        engine = bench.engine()
        if not hasattr(engine, "count"):
            pytest.skip("the engine has no count")
        assert engine.count(bench.table) is None, "count must return None where there is no table"
        engine.close()
        bench.store({0: Batch()})
        assert bench.engine().count(bench.table) == 0, "count of an empty table must be 0"
        if "replace" in bench.capabilities:
            bench.store({0: NEW}, "replace")
            found = bench.engine().count(bench.table)
            assert found, f"count of a table with rows must not be {found!r}"

    def test_interrupt_may_come_at_any_time(self, bench: SinkBench) -> None:
        """From another thread, before, while and after there is something to end."""
        from mixpanel_fetch.testing.promises import in_thread

        engine = bench.engine()
        if not hasattr(engine, "interrupt"):
            pytest.skip("the engine has no interrupt")
        with promised("interrupt must do no harm where no call is running"):
            in_thread(engine.interrupt)
            engine, load = bench.begin(bench.info(), engine)
            in_thread(engine.interrupt)
            write_all(load, {0: NEW})
            load.commit()
            engine.close()
            in_thread(engine.interrupt)
        bench.assert_holds({0: NEW}, "interrupt must do no harm where no call is running")


class SinkDuplicateTests:
    """Rows that share an id: within a page, between pages, in pages that come out of order."""

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
    def test_of_rows_that_share_an_id_the_later_page_wins(
        self, bench: SinkBench, order: tuple[int, ...]
    ) -> None:
        """By page number, not by arrival; within a page, the later row."""
        bench.needs("keyed")
        bench.store({index: SHARING[index] for index in order})
        words = f"the row of the later page must win, whichever page comes first (here {order})"
        bench.assert_holds(SHARING, words)

    def test_the_later_row_of_a_page_wins(self, bench: SinkBench) -> None:
        """A page may hold an id twice."""
        bench.needs("keyed")
        page = Batch(["x", "x"], [b'{"v":1}', b'{"v":2}'], [None, None])
        with promised("a page may hold an id twice"):
            bench.store({0: page})
        bench.assert_holds({0: page}, "of two rows of an id in one page, the later must win")

    def test_duplicates_are_counted(self, bench: SinkBench) -> None:
        """``duplicate_rows``: those that another row of the run replaced."""
        bench.needs("keyed")
        report = bench.store(SHARING)
        said = (4 if report.total_rows is None else report.total_rows, report.duplicate_rows)
        assert said == (4, 2), (
            "commit must say total_rows=4 and duplicate_rows=2 of six rows with four ids, not"
            f" total_rows={report.total_rows} and duplicate_rows={report.duplicate_rows}"
        )

    def test_count_duplicates_counts_them_before_commit(self, bench: SinkBench) -> None:
        """Asked by ``--strict``; the rows must be there afterwards all the same."""
        bench.needs("keyed")
        engine, load = bench.begin(bench.info(total_pages=3))
        if not hasattr(load, "count_duplicates"):
            load.abort()
            pytest.skip("the load has no count_duplicates")
        write_all(load, SHARING)
        counted: Any = load.count_duplicates()
        report = load.commit()
        engine.close()
        assert counted == 2, f"count_duplicates must say 2 of six rows with four ids, not {counted}"
        assert report.duplicate_rows == 2, (
            f"after count_duplicates, commit must still say 2 duplicates, not {report}"
        )
        bench.assert_holds(SHARING, "count_duplicates must not change what commit stores")

    def test_a_sink_without_keys_keeps_every_row(self, bench: SinkBench) -> None:
        """Not keyed: whatever came is there."""
        if bench.keyed:
            pytest.skip("the sink claims keyed")
        bench.store(SHARING)
        words = "a sink that does not claim keyed must keep every row"
        bench.assert_holds(SHARING, words)


def _fails(load: Any, page: Batch) -> bool:
    try:
        load.write(1, page)
    except Exception:  # noqa: BLE001  (a plugin may raise what it likes here)
        return True
    return False
