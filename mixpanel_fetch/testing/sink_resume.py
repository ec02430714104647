"""The capability ``resume``: pages that are durable, and runs that go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode, RunInfo, RunRecord
from mixpanel_fetch.testing.promises import promised, refused
from mixpanel_fetch.testing.sink_bench import SinkBench, batch, ids_of, write_all
from mixpanel_fetch.testing.sink_modes import EVERY

PAGES = {
    0: batch("p0", "same", value="page 0"),
    1: batch("p1", "same", value="page 1"),
    2: batch("p2", "same", value="page 2"),
}
ENDS = ("crash", "suspend")


class SinkResumeTests:
    """Skipped unless the sink claims ``resume``."""

    def test_nothing_is_known_of_an_unused_store(self, bench: SinkBench) -> None:
        """Asked before the first run, the engine answers, and makes nothing."""
        bench.needs("resume")
        with promised("interrupted and runs must answer where no run has been"):
            found = bench.engine().interrupted(bench.table), list(bench.engine().runs())
        assert found == (None, []), f"where no run has been, none must be told of: {found}"
        bench.assert_same(None, "interrupted and runs must make no table")

    @pytest.mark.parametrize("end", ENDS)
    def test_an_interrupted_run_is_told_of(self, bench: SinkBench, end: str) -> None:
        """Pages are durable when ``write`` returns; a new engine knows the run and its pages."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        bench.leave({2: PAGES[2], 0: PAGES[0]}, run, end=end)
        words = f"after {end}, a new engine must tell of the run"
        found = bench.engine().interrupted(bench.table)
        assert found is not None, f"{words}; interrupted says that there is none"
        _assert_same_run(found, run, words)
        record = _record(bench, run, words)
        assert record.status in {"running", "suspended"}, f"{words}, not as {record.status}"
        assert record.landed_pages == {0, 2}, (
            f"{words}: pages 0 and 2 have landed, runs says {sorted(record.landed_pages)}"
        )

    @pytest.mark.parametrize(
        ("mode", "end"), [("create", "suspend"), *((mode, "crash") for mode in EVERY)]
    )
    def test_an_interrupted_run_goes_on(self, bench: SinkBench, mode: Mode, end: str) -> None:
        """``begin`` with its ``run_id`` has its pages; commit stores those and the rest."""
        bench.needs("resume", mode)
        old = _laid(bench, mode)
        before = bench.rows()
        run = bench.info(mode, total_pages=3)
        bench.leave({2: PAGES[2], 0: PAGES[0]}, run, end=end)
        bench.assert_same(before, f"after {end} in mode {mode}, the table must be as it was")
        words = f"a run in mode {mode} must go on after {end}"
        with promised(words):
            self._finish(bench, run, {0, 2}, {1: PAGES[1]}, words)
        kept = old if mode in {"append", "merge"} else {}
        bench.assert_holds({**kept, **PAGES}, words)

    def test_an_empty_page_has_landed(self, bench: SinkBench) -> None:
        """It is not asked for again."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        bench.leave({0: PAGES[0], 1: Batch()}, run)
        words = "an empty page is a page that has landed"
        self._finish(bench, run, {0, 1}, {2: PAGES[2]}, words)
        bench.assert_holds({0: PAGES[0], 2: PAGES[2]}, words)

    @pytest.mark.parametrize("end", [*ENDS, "commit"])
    def test_the_note_of_a_page_is_kept(self, bench: SinkBench, end: str) -> None:
        """What the core noted of a page comes back with the run, complete or not."""
        bench.needs("resume")
        run = bench.info(total_pages=2)
        noted = {0: PAGES[0], 1: replace(PAGES[1], note='{"missing": 7}')}
        bench.leave(noted, run, end=end)
        words = f"after {end}, runs must give back the notes of pages (Batch.note)"
        found = dict(_record(bench, run, words).notes)
        assert found == {1: '{"missing": 7}'}, f"{words}, not {found}"

    def test_a_page_that_failed_has_not_landed(self, bench: SinkBench) -> None:
        """One transaction a page: neither its rows nor its mark are there."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        engine, load = bench.begin(run)
        write_all(load, {0: PAGES[0]})
        bad = Batch(["p1", "bad"], [b"{}", None], [None, None])  # type: ignore[list-item]
        try:
            load.write(1, bad)
        except Exception:  # noqa: BLE001  (a plugin may raise what it likes here)
            load.suspend()
            engine.close()
        else:
            load.abort()
            engine.close()
            pytest.skip("the sink takes properties that are no bytes")
        words = "a page whose write raised has not landed"
        self._finish(bench, run, {0}, {1: PAGES[1], 2: PAGES[2]}, words)
        bench.assert_holds(PAGES, words)

    def test_a_run_may_be_interrupted_again(self, bench: SinkBench) -> None:
        """What landed before is not forgotten."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        bench.leave({1: PAGES[1]}, run, end="suspend")
        bench.leave({0: PAGES[0]}, run, end="crash")
        words = "a run that is interrupted twice must keep the pages of both times"
        self._finish(bench, run, {0, 1}, {2: PAGES[2]}, words)
        bench.assert_holds(PAGES, words)

    def test_pages_of_another_session_are_dropped(self, bench: SinkBench) -> None:
        """Two sessions cut the same profiles in different places: their pages cannot be mixed."""
        bench.needs("resume")
        run = bench.info(total_pages=2)
        bench.leave({0: batch("stale")}, run, end="suspend")
        words = "begin with another session_id must drop the pages of the old session"
        self._finish(bench, replace(run, session_id="session-2"), set(), {0: PAGES[0]}, words)
        assert "stale" not in ids_of(bench.rows()), words

    def test_a_new_run_takes_the_place_of_the_interrupted(self, bench: SinkBench) -> None:
        """One interrupted run a table, at most."""
        bench.needs("resume")
        old, new = bench.info(total_pages=3), bench.info(total_pages=3)
        bench.leave({0: batch("stale")}, old, end="suspend")
        bench.leave({1: PAGES[1]}, new, end="suspend")
        words = "a new run must take the place of the interrupted one of its table"
        found = bench.engine().interrupted(bench.table)
        assert found is not None, f"{words}; interrupted says that there is none"
        assert found.run_id == new.run_id, f"{words}; interrupted still tells of the old one"
        self._finish(bench, new, {1}, {0: PAGES[0], 2: PAGES[2]}, words)
        bench.assert_holds(PAGES, words)

    def test_another_table_has_no_interrupted_run(self, bench: SinkBench) -> None:
        """Runs belong to tables."""
        bench.needs("resume")
        bench.leave({0: PAGES[0]}, bench.info(total_pages=3), end="suspend")
        found = bench.engine().interrupted("another_table")
        assert found is None, "interrupted must tell of runs of the table asked about only"

    @pytest.mark.parametrize("end", ["commit", "abort"])
    def test_a_run_that_ended_is_not_interrupted(self, bench: SinkBench, end: str) -> None:
        """Published whole, or taken back: there is nothing to go on with."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        if end == "commit":
            bench.store(PAGES, run_id=run.run_id)
            record = _record(bench, run, "a finished run must be told of")
            assert (record.status, record.missing_pages) == ("complete", ()), (
                f"a finished run must be complete, with every page landed, not {record.status}"
                f" without pages {record.missing_pages}"
            )
            assert record.total_rows in {None, 4}, f"4 rows were stored, not {record.total_rows}"
        else:
            bench.leave(PAGES, run, end="abort")
        found = bench.engine().interrupted(bench.table)
        assert found is None, f"after {end}, a run must not be told of as interrupted"

    @pytest.mark.parametrize("mode", EVERY)
    def test_a_partial_run_can_be_completed(self, bench: SinkBench, mode: Mode) -> None:
        """``commit`` without every page publishes what landed; a resume merges the rest."""
        bench.needs("resume", "merge", mode)
        old = _laid(bench, mode)
        kept = old if mode in {"append", "merge"} else {}
        run = bench.info(mode, total_pages=3)
        landed = {0: PAGES[0], 2: PAGES[2]}
        bench.store(landed, mode, run_id=run.run_id, total_pages=3)
        words = f"commit of {mode} without page 1 must publish the other pages"
        bench.assert_holds({**kept, **landed}, words)
        record = _record(bench, run, "a partial run must be told of")
        assert (record.status, record.missing_pages) == ("partial", (1,)), (
            "a run published without page 1 must be partial, with page 1 missing, not"
            f" {record.status} without pages {record.missing_pages}"
        )
        words = f"the missing page of a partial run in mode {mode} must be added to the others"
        with promised(words):
            rest = {1: batch("p1", value="page 1")}
            self._finish(bench, run, {0, 2}, rest, words, partial=True)
        after = {0: PAGES[0], 1: batch("p1", value="page 1"), 2: PAGES[2]}
        bench.assert_holds({**kept, **after}, words)

    def test_discard_drops_an_interrupted_run(self, bench: SinkBench) -> None:
        """Its staging goes, the table stays; of an unknown run, ConfigError."""
        bench.needs("resume")
        run = bench.info(total_pages=3)
        bench.leave({0: batch("stale")}, run, end="suspend")
        with promised("discard must drop an interrupted run"):
            bench.engine().discard(run.run_id)
        found = bench.engine().interrupted(bench.table)
        assert found is None, "after discard, a run must not be told of as interrupted"
        bench.assert_same(None, "discard must make no table")
        words = "discard of a run that is unknown or not interrupted must raise a ConfigError"
        for run_id in (run.run_id, "no-such-run"):
            with refused(ConfigError, words):
                bench.engine().discard(run_id)
        bench.store(PAGES)
        bench.assert_holds(PAGES, "a run after discard must store its own rows only")

    def test_the_newest_run_comes_first(self, bench: SinkBench) -> None:
        """``runs`` remembers those that ended, too."""
        bench.needs("resume")
        first, second = bench.info(), bench.info(total_pages=3)
        bench.store({0: PAGES[0]}, run_id=first.run_id, started_at=first.started_at)
        mode: Mode = "replace" if "replace" in bench.capabilities else "append"
        bench.needs(mode)
        bench.leave({0: PAGES[0]}, replace(second, mode=mode), end="suspend")
        found = [record.info.run_id for record in bench.engine().runs()]
        assert found == [second.run_id, first.run_id], "runs must tell of every run, newest first"

    @staticmethod
    def _finish(
        bench: SinkBench,
        run: RunInfo,
        landed: set[int],
        rest: dict[int, Batch],
        words: str,
        *,
        partial: bool = False,
    ) -> None:
        """Go on with ``run``, of which ``landed`` must be there, and commit it."""
        # A partial run is checked as a merge: its table is there.
        checked_as: Mode | None = "merge" if partial else None
        engine, load = bench.begin(run, checked_as=checked_as)
        found = set(load.landed_pages())
        assert found == landed, f"{words}: landed_pages says {sorted(found)}, not {sorted(landed)}"
        write_all(load, rest)
        load.commit()
        engine.close()


def _laid(bench: SinkBench, mode: Mode) -> dict[int, Batch]:
    """Store old rows for a mode that goes over them; return them as a page before page 0."""
    if mode == "create":
        return {}
    old = batch("old", "p1", value="old")
    bench.store({0: old})
    return {-1: old}


def _record(bench: SinkBench, run: RunInfo, words: str) -> RunRecord:
    records = [one for one in bench.engine().runs() if one.info.run_id == run.run_id]
    assert len(records) == 1, f"{words}: runs has {len(records)} records of it"
    record: RunRecord = records[0]
    return record


_REMEMBERED = (
    *("run_id", "table", "mode", "query", "session_id", "total", "page_size"),
    *("asked_page_size", "total_pages", "transforms", "fingerprint", "started_at"),
)


def _assert_same_run(found: RunInfo, run: RunInfo, words: str) -> None:
    for name in _REMEMBERED:
        is_, was = _plain(getattr(found, name)), _plain(getattr(run, name))
        assert is_ == was, f"{words} as it was: {name} is {is_!r}, not {was!r}"


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else value
