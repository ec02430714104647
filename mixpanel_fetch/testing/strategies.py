"""The conformance kit for strategies."""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Sequence

import pytest

from mixpanel_fetch.model import PageFailure
from mixpanel_fetch.testing.cases import StrategyCase
from mixpanel_fetch.testing.fetching import Collector, fetch
from mixpanel_fetch.testing.promises import in_thread, promised
from mixpanel_fetch.testing.strategy_bench import (
    Script,
    ScriptedPages,
    Stopping,
    StrategyBench,
    hub_of_its_own,
    leftovers,
    session_of,
    take,
)

PAGES = range(1, 40)


class StrategyTests:
    """Whether a strategy keeps what :mod:`mixpanel_fetch.protocols` promises of it.

    Subclass it, name the class ``Test...``, and override the fixture ``case``.
    """

    @pytest.fixture
    def case(self) -> StrategyCase:
        """Override: return the StrategyCase to be tested."""
        raise NotImplementedError("override the fixture case: return a StrategyCase")

    @pytest.fixture
    def fetching(self, case: StrategyCase) -> StrategyBench:
        """Hold what a test does with the strategy; not to be overridden."""
        return StrategyBench(case)

    def test_each_page_comes_back_once(self, fetching: StrategyBench) -> None:
        """No page is left out, none comes twice."""
        found = Counter(one.index for one in take(fetching.strategy(), _source(), PAGES))
        lacking, twice = set(PAGES) - set(found), [page for page in found if found[page] > 1]
        assert not lacking, f"each page must come back; {sorted(lacking)} did not"
        assert not twice, f"each page must come back once; {sorted(twice)} came more often"

    def test_only_the_pages_asked_for_come_back(self, fetching: StrategyBench) -> None:
        """On a resume there are gaps between them."""
        source = _source()
        found = sorted(one.index for one in take(fetching.strategy(), source, [3, 7, 30]))
        assert found == [3, 7, 30], f"pages 3, 7 and 30 were asked for, {found} came back"
        assert set(source.asked) <= {3, 7, 30}, f"pages {source.asked} were fetched"

    def test_no_pages_are_no_work(self, fetching: StrategyBench) -> None:
        """An empty list ends at once."""
        source = _source()
        with promised("a strategy must take an empty list of pages"):
            found = take(fetching.strategy(), source, [])
        assert (found, source.asked) == ([], []), f"no page was asked for, {found} came back"

    def test_failures_are_outcomes(self, fetching: StrategyBench) -> None:
        """A page that could not be had comes back as its PageFailure, with its error."""
        failing = frozenset({2, 3, 17, 39})
        with promised("a page that fails must not end the run"):
            outcomes = take(fetching.strategy(), _source(failing=failing), PAGES)
        failures = {one.index: one for one in outcomes if isinstance(one, PageFailure)}
        assert set(failures) == failing, (
            f"pages {sorted(failing)} fail, and failures came back of {sorted(failures)}"
        )
        for index, failure in failures.items():
            assert str(failure.error) == f"page {index} fails", (
                f"the failure of page {index} must carry its error, not {failure.error!r}"
            )
        assert len(outcomes) == len(PAGES), "a page that fails must not cost another"

    def test_an_unknown_error_does_not_vanish(self, fetching: StrategyBench) -> None:
        """What no source should raise is raised where the pages are taken, or is a failure."""
        source = _source(crash_at=12)
        try:
            outcomes = take(fetching.strategy(), source, PAGES)
        except Exception:  # noqa: BLE001  (that is one of the two)
            return
        failed = {one.index for one in outcomes if isinstance(one, PageFailure)}
        assert 12 in failed, "an error that the source did not expect must not vanish"

    def test_pages_in_memory_are_few(self, fetching: StrategyBench) -> None:
        """The consumer may be slower than the network: pages must not pile up."""
        from mixpanel_fetch.transport import pause

        strategy, source = fetching.strategy(), _source(total_pages=120, seconds=0)
        taken: weakref.WeakValueDictionary[int, object] = weakref.WeakValueDictionary()
        most = 0
        with hub_of_its_own():
            for outcome in strategy.run(source, range(120)):
                taken[outcome.index] = outcome
                pause(0.002 if outcome.index % 10 == 0 else 0)
                most = max(most, len(source.alive), len(taken))
        bound = fetching.ahead(strategy)
        assert most <= bound, f"{most} pages were in memory at once; {bound} may be"

    def test_pages_asked_for_ahead_are_few(self, fetching: StrategyBench) -> None:
        """And must not be asked for much earlier than they are taken."""
        from mixpanel_fetch.simulator import EngageSimulator
        from mixpanel_fetch.transport import pause

        strategy = fetching.strategy()
        taken = most = 0
        with (
            EngageSimulator(profiles=40, concurrency_limit=None) as simulator,
            session_of(simulator, page_size=1) as source,
        ):
            for outcome in strategy.run(source, PAGES):
                source.landed(outcome.index)
                taken += 1
                pause(0.01)
                most = max(most, simulator.stats.received - 1 - taken)
        bound = fetching.ahead(strategy)
        assert taken == len(PAGES), f"{len(PAGES)} pages were asked for, {taken} came back"
        assert most <= bound, f"{most} pages were asked for ahead of their use; {bound} may be"

    @pytest.mark.parametrize("taken", [0, 1, 7])
    def test_closing_early_leaves_nothing(self, fetching: StrategyBench, taken: int) -> None:
        """No greenlet, thread or process, and no request in flight."""
        strategy = fetching.strategy()
        take(strategy, _source(), PAGES, most=1)  # the first run loads libraries
        before = leftovers()
        source = _source(seconds=0.005)
        with promised("closing the iterator early must do no harm"):
            take(strategy, source, PAGES, most=taken)
        left = leftovers(before)
        assert not left, f"closing the iterator early must leave nothing; there are {sorted(left)}"
        asked = len(source.asked)
        time.sleep(0.02)
        assert source.in_flight == 0, "closing the iterator early must end what is under way"
        assert len(source.asked) == asked, "after the iterator was closed, more was asked for"

    def test_the_end_leaves_nothing(self, fetching: StrategyBench) -> None:
        """No greenlet, thread or process when the last page was taken."""
        take(fetching.strategy(), _source(), PAGES)
        before = leftovers()
        take(fetching.strategy(), _source(), PAGES)
        left = leftovers(before)
        assert not left, f"a run that has ended must leave nothing; there are {sorted(left)}"

    def test_it_may_run_again(self, fetching: StrategyBench) -> None:
        """The pipeline runs it once more for the pages that failed; the first may end early."""
        strategy, source = fetching.strategy(), _source()
        with promised("a strategy must be able to run again"):
            take(strategy, source, PAGES, most=3)
            found = sorted(one.index for one in take(strategy, source, [4, 9, 33]))
        assert found == [4, 9, 33], f"a second run was asked for 4, 9 and 33; {found} came back"

    def test_it_works_in_any_thread(self, fetching: StrategyBench) -> None:
        """A fetch need not run in the main thread."""
        with promised("a strategy must work in a thread that is not the main one"):
            outcomes = in_thread(take, fetching.strategy(), _source(), PAGES)
        found = sorted(one.index for one in outcomes)
        assert found == list(PAGES), "in another thread, each page must come back as well"

    @pytest.mark.parametrize("workers", [1, 2])
    def test_no_more_is_in_flight_than_allowed(self, fetching: StrategyBench, workers: int) -> None:
        """``max_workers`` is the most requests at once."""
        from mixpanel_fetch.simulator import EngageSimulator

        with EngageSimulator(profiles=24, latency=0.01, concurrency_limit=None) as simulator:
            with session_of(simulator, page_size=2) as source:
                for outcome in fetching.strategy(workers).run(source, range(1, 12)):
                    source.landed(outcome.index)
            most = simulator.stats.max_in_flight
        assert most <= workers, f"{most} requests were in flight; max_workers was {workers}"

    def test_a_fetch_brings_what_sequential_brings(self, fetching: StrategyBench) -> None:
        """In the pipeline: the same rows, each page asked for once."""
        from mixpanel_fetch.simulator import EngageSimulator

        one, other = Collector(), Collector()
        case = fetching.case
        with EngageSimulator(profiles=230) as simulator:
            fetch(simulator, other, fetching.host, strategy="sequential", page_size=10)
            simulator.reset_stats()
            with promised("a whole fetch with the strategy must work"):
                result = fetch(
                    simulator,
                    one,
                    fetching.host,
                    strategy=case.strategy,
                    max_workers=case.max_workers,
                    options=case.options,
                    page_size=10,
                )
            asked = simulator.stats.pages
        assert result.exit_code == 0, f"a whole fetch must end well: {result.failures}"
        assert one.pages == other.pages, "a fetch must bring the same pages as sequential"
        more = [page for page in asked if asked[page] > 1]
        assert not more, f"each page must be asked for once; {sorted(more)} were more often"

    def test_a_fetch_can_be_stopped_while_it_waits(self, fetching: StrategyBench) -> None:
        """Waiting for a page must leave the hub free: else nobody could look whether to stop."""
        from mixpanel_fetch.simulator import EngageSimulator

        case, cancel = fetching.case, threading.Event()
        with EngageSimulator(profiles=200, page_latency=dict.fromkeys(range(1, 20), 3.0)) as slow:
            stopping = Stopping(slow, cancel)
            stopping.start()
            result = fetch(
                slow,
                Collector(),
                fetching.host,
                strategy=case.strategy,
                max_workers=case.max_workers,
                options=case.options,
                page_size=10,
                cancel=cancel,
            )
            stopping.join()
            seconds = time.monotonic() - stopping.told_at
        assert result.interrupted, "a fetch that is told to stop must say that it was interrupted"
        assert seconds < 2.5, f"a fetch must stop within a second or so, not after {seconds:.1f} s"


def _source(
    total_pages: int = 40,
    *,
    failing: Sequence[int] | frozenset[int] = (),
    crash_at: int | None = None,
    seconds: float = 0.001,
) -> ScriptedPages:
    return ScriptedPages(Script(total_pages, frozenset(failing), crash_at, seconds))
