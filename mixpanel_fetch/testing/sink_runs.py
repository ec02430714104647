"""What every sink must do: runs of one page and of many, counts, threads, ends of a run."""

from __future__ import annotations

from typing import Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import CAPABILITIES
from mixpanel_fetch.model import Mode
from mixpanel_fetch.protocols import ResumableEngine
from mixpanel_fetch.testing.promises import open_descriptors, promised, refused, threads
from mixpanel_fetch.testing.sink_bench import SinkBench, batch, write_all

THREE = {0: batch("a", "b"), 1: batch("c"), 2: batch("d", "e", "f")}
UNCLAIMED = ("append", "replace", "merge", "resume")


class SinkRunTests:
    """Runs from factory to close."""

    def test_the_capabilities_agree(self, bench: SinkBench) -> None:
        """What is claimed is known, and what one claim needs is there."""
        claims = bench.capabilities
        assert claims <= CAPABILITIES, f"unknown capabilities: {sorted(claims - CAPABILITIES)}"
        assert "keyed" in claims or "merge" not in claims, (
            "a sink that claims merge must claim keyed: merge is an upsert by distinct_id"
        )
        assert "stream" not in claims or not claims & {"replace", "resume"}, (
            "a sink that claims stream shows its rows at once: it can neither replace nor resume"
        )
        assert "resume" not in claims or isinstance(bench.engine(), ResumableEngine), (
            "a sink that claims resume must have interrupted, runs and discard (ResumableEngine)"
        )

    @pytest.mark.parametrize("what", UNCLAIMED)
    def test_what_is_not_claimed_is_refused_at_once(self, bench: SinkBench, what: str) -> None:
        """ConfigError, exit code 3, before a request is spent and before anything is written."""
        from mixpanel_fetch.simulator import EngageSimulator

        if what in bench.capabilities:
            pytest.skip(f"the sink claims {what}")
        before = bench.rows() if bench.streams else bench.lay()
        options = {"resume": True} if what == "resume" else {"mode": what}
        words = f"a sink that does not claim {what} must refuse it with a ConfigError"
        with EngageSimulator(profiles=3) as simulator:
            with refused(ConfigError, words):
                bench.fetch(simulator, **options)
            assert simulator.stats.received == 0, f"{words} before anything is asked for"
        bench.assert_same(before, f"{words} before anything is written")

    def test_the_factory_opens_nothing(self, bench: SinkBench) -> None:
        """Neither a table nor a file nor a connection: it runs in another thread."""
        bench.engine().close()
        before = open_descriptors()
        engine = bench.engine()
        opened = open_descriptors()
        bench.assert_same(None, "the factory must make no table")
        engine.close()
        assert before == opened or before is None or opened is None, (
            f"the factory must open nothing; {opened - before} files or sockets more are open"
        )

    def test_check_makes_nothing(self, bench: SinkBench) -> None:
        """``check`` looks, and leaves the table to ``begin``."""
        engine = bench.engine()
        if hasattr(engine, "check"):
            engine.check(bench.table, "create")
        engine.close()
        bench.assert_same(None, "check must make no table")

    def test_a_run_of_one_page(self, bench: SinkBench) -> None:
        """The smallest run."""
        bench.store({0: batch("a", "b")})
        bench.assert_holds({0: batch("a", "b")}, "after commit, the table must hold the page")

    def test_a_run_of_many_pages(self, bench: SinkBench) -> None:
        """Every page's rows are there, in full."""
        pages = {index: batch(*(f"{index}-{n}" for n in range(7))) for index in range(12)}
        bench.store(pages)
        bench.assert_holds(pages, "after commit, the table must hold every page")

    def test_a_run_without_rows_makes_an_empty_table(self, bench: SinkBench) -> None:
        """An answer of nothing is an answer."""
        bench.store({0: Batch()})
        found = bench.rows()
        assert found == [] or (bench.streams and not found), (
            f"a run of one empty page must leave an empty table, not {found}"
        )

    def test_a_run_without_pages_makes_an_empty_table(self, bench: SinkBench) -> None:
        """``commit`` right after ``begin``."""
        with promised("commit must work where no page was written"):
            bench.store({})
        found = bench.rows()
        assert found == [] or (bench.streams and not found), (
            f"a run without pages must leave an empty table, not {found}"
        )

    def test_an_empty_batch_is_a_page(self, bench: SinkBench) -> None:
        """A transform may have dropped all of its rows; the page has landed all the same."""
        pages = {0: batch("a"), 1: Batch(), 2: batch("b")}
        bench.store(pages)
        bench.assert_holds(pages, "an empty page between others must change nothing")

    def test_pages_come_in_any_order(self, bench: SinkBench) -> None:
        """The order of arrival says nothing."""
        bench.store({index: THREE[index] for index in (2, 0, 1)})
        bench.assert_holds(THREE, "pages 2, 0, 1 must store the same as 0, 1, 2")

    def test_the_report_counts_the_rows_of_the_table(self, bench: SinkBench) -> None:
        """What a result shows to the user is what can be read back."""
        report = bench.store(THREE)
        found = bench.rows() or []
        for name in ("total_rows", "inserted"):
            value = getattr(report, name)
            assert value in {None, len(found)}, (
                f"commit says {name}={value}, and {len(found)} rows can be read back"
            )
        assert not report.updated, f"commit of a new table says updated={report.updated}"

    def test_several_pages_at_once_land_like_one_by_one(self, bench: SinkBench) -> None:
        """``write_pages``, where there is one, is called in place of ``write``."""
        engine, load = bench.begin(bench.info(total_pages=4))
        if not hasattr(load, "write_pages"):
            load.abort()
            pytest.skip("the load has no write_pages")
        pages = {**THREE, 3: Batch()}
        counts = load.write_pages([(2, pages[2]), (3, pages[3]), (0, pages[0])])
        counts += load.write_pages([(1, pages[1])])
        assert counts == [3, 0, 2, 1], (
            f"write_pages must return the rows of each page: [3, 0, 2] and [1], not {counts}"
        )
        load.commit()
        engine.close()
        bench.assert_holds(pages, "write_pages must land what write lands")

    def test_the_input_is_not_changed(self, bench: SinkBench) -> None:
        """The batch belongs to the pipeline."""
        page = Batch(["b", "a"], [b'{"n": 1}', b'{"$x":  2}'], [None, None])
        ids, properties, seen = page.distinct_ids[:], page.properties[:], page.last_seen[:]
        bench.store({0: page})
        same = (page.distinct_ids, page.properties, page.last_seen) == (ids, properties, seen)
        assert same, "write must not change its batch, nor may commit"

    def test_calls_come_from_another_thread_than_the_factorys(self, bench: SinkBench) -> None:
        """The factory runs in the user's thread, all of a run in the run's, the next in a third."""
        words = "one engine must serve runs in threads other than the factory's"
        with promised(words), threads() as call:
            engine = call(bench.engine)
            call(self._run, bench, engine, "create")
            for mode in ("merge", "append", "replace"):
                if mode in bench.capabilities:
                    call(self._run, bench, engine, mode)
        assert bench.rows() or bench.streams, f"{words}: its rows are not there"

    @staticmethod
    def _run(bench: SinkBench, engine: Any, mode: Mode) -> None:
        run = bench.info(mode, total_pages=3)
        engine, load = bench.begin(run, engine)
        write_all(load, THREE)
        load.commit()
        engine.close()

    def test_close_may_come_twice(self, bench: SinkBench) -> None:
        """And before anything was begun."""
        with promised("close must work without a run, and twice after one"):
            bench.engine().close()
            engine, load = bench.begin(bench.info())
            write_all(load, {0: batch("a")})
            load.commit()
            engine.close()
            engine.close()
        bench.assert_holds({0: batch("a")}, "close must leave what was committed")

    def test_close_lets_go_of_everything(self, bench: SinkBench) -> None:
        """A host that fetches every hour must not run out of descriptors."""
        bench.leave({0: batch("a")}, bench.info(), end="abort")  # the first run loads libraries
        before = open_descriptors()
        bench.store({0: batch("a")})
        after = open_descriptors()
        assert before is None or after is None or after <= before, (
            f"close must let go of everything; {after - before} files or sockets are left open"
        )
