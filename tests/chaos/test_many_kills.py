"""One fetch of 600 pages, killed twenty times: nothing is lost, and little is asked for again."""

from __future__ import annotations

import random
import signal

from mixpanel_fetch.simulator import EngageSimulator

from .judge import Case, verdict
from .reference import reference_of
from .schedule import Schedule, Stop
from .sinks import SINKS
from .tries import try_process

PAGES, PAGE_SIZE, KILLS = 600, 5, 20
# What may be asked for again after a kill: five pages in flight, and what was there or on its way
# into the table, one more than the workers hold.
AGAIN = 11


def reference():
    schedule = Schedule(
        seed=600,
        mode="create",
        parallel=True,
        workers=5,
        page_size=PAGE_SIZE,
        rows=PAGES * PAGE_SIZE,
        repeats=0,
        old=None,
        max_retries=3,
        faults=(),
        later_faults=(),
        stops=(),
    )
    return reference_of(schedule)


def test_twenty_kills_lose_nothing(tmp_path):
    sink, place = SINKS["duckdb"], tmp_path / "place"
    chance = random.Random("twenty kills")
    expected, rows, kills = reference(), None, 0
    stops = [Stop("SIGKILL", chance.randint(1, 50), chance.uniform(0, 0.02)) for _ in range(KILLS)]
    with EngageSimulator(
        profiles=expected.profiles, page_size=PAGE_SIZE, concurrency_limit=None, latency=0.02
    ) as simulator:
        for stop in (*stops, None):
            arguments = ["users", "--parallel", "--resume"]
            outcome = try_process(arguments, simulator, sink.uri(place), stop)
            seen = sink.look(place, "users")
            assert verdict(Case(expected, rows, seen.rows, outcome, seen.memory)) == []
            rows = seen.rows
            kills += outcome.code == -signal.SIGKILL
        asked = simulator.stats.received
    assert (outcome.code, kills) == (0, KILLS)
    assert rows is not None
    assert len(rows) == PAGES * PAGE_SIZE
    assert PAGES <= asked <= PAGES + AGAIN * kills
