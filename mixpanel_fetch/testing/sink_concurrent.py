"""``concurrent``: runs into different tables of one location that land at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError
from typing import Literal

from mixpanel_fetch.testing.promises import promised
from mixpanel_fetch.testing.sink_bench import Pages, SinkBench, batch

_PATIENCE = 60.0  # seconds that a run waits for the other

ONE = {0: batch("a", "b", value="one"), 1: batch("c", value="one")}
OTHER = {0: batch("a", "x", value="other"), 1: batch("y", value="other")}


class SinkConcurrentTests:
    """What a sink that claims ``concurrent`` promises, as far as one process can show it."""

    def test_runs_into_two_tables_land_at_the_same_time(self, bench: SinkBench) -> None:
        """Each has a thread and an engine of its own; both have begun before either writes."""
        bench.needs("concurrent")
        words = "runs into two tables of one location must be able to land at the same time"
        other = f"{bench.table}_too"
        with promised(words):
            _Together(bench, "commit").run({bench.table: ONE, other: OTHER})
        bench.assert_holds(ONE, words)
        bench.assert_holds(OTHER, words, other)

    def test_a_run_that_is_aborted_leaves_the_one_beside_it_alone(self, bench: SinkBench) -> None:
        """What a run takes back is its own."""
        bench.needs("concurrent")
        bench.needs_taking_back()
        words = "the abort of a run must not touch one that lands in another table"
        other = f"{bench.table}_too"
        with promised(words):
            _Together(bench, "abort").run({bench.table: ONE, other: OTHER})
        bench.assert_holds(ONE, words)
        assert not bench.rows(other), "after abort, nothing of the run must be left"


@dataclass(frozen=True)
class _Together:
    """Runs in step; the first commits, the others ``end``, which comes first if it is an abort."""

    bench: SinkBench
    end: Literal["commit", "abort"]

    def run(self, tables: Mapping[str, Pages]) -> None:
        """Run into each table. Raises what the first to fail raised."""
        step = Barrier(len(tables), timeout=_PATIENCE)
        with ThreadPoolExecutor(len(tables), "conformance-kit") as pool:
            calls = [
                pool.submit(self._run, table, pages, step, "commit" if number == 0 else self.end)
                for number, (table, pages) in enumerate(tables.items())
            ]
        errors = [error for error in (call.exception() for call in calls) if error is not None]
        for error in sorted(errors, key=lambda one: isinstance(one, BrokenBarrierError)):
            raise error

    def _run(self, table: str, pages: Pages, step: Barrier, end: str) -> None:
        try:
            engine, load = self.bench.begin(self.bench.info(total_pages=len(pages), table=table))
            step.wait()
            for index, page in pages.items():
                load.write(index, page)
                step.wait()
            if end == "abort":
                load.abort()
            step.wait()
            if end == "commit":
                load.commit()
            engine.close()
        except BaseException:
            step.abort()  # or the other would wait for nothing
            raise
