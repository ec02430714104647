"""A table that follows a project in every mode, whatever happens to either: a property.

After each complete fetch the table is the project; after any other, each difference is one that is
documented ("What an incremental fetch cannot see").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixpanel_fetch import MixpanelAPIClient, ParallelProfileFetchResult
from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.sync import WEEK, SyncWish
from mixpanel_fetch.tolerance import Tolerance

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover

KINDS = {
    "full": {"full": True},
    "due": {"full_every": timedelta(microseconds=1)},
    "incremental": {"full_every": WEEK},
}
CHANGES = ("insert", "edit", "edit in silence", "delete", "return", "return in silence")
TROUBLES = {
    "none": (),
    "fails": (Fault(1, "400", times=None),),
    "rows come twice": (Fault(1, "duplicates", rows=2, times=None),),
}


@dataclass(frozen=True)
class Step:
    """What happens to the project, then how it is fetched, and what goes wrong meanwhile."""

    changes: tuple[tuple[str, int], ...]
    kind: str
    trouble: str
    partial: bool
    resumed: bool


steps = st.builds(
    Step,
    changes=st.lists(
        st.tuples(st.sampled_from(CHANGES), st.integers(0, 99)), min_size=2, max_size=6
    ).map(tuple),
    kind=st.sampled_from(list(KINDS)),
    trouble=st.sampled_from(["none", "none", *TROUBLES]),
    partial=st.booleans(),
    resumed=st.booleans(),
)


def step(kind, *changes, trouble="none", partial=False, resumed=False):
    """A step whose changes befall the first profiles."""
    return Step(tuple((change, 0) for change in changes), kind, trouble, partial, resumed)


EVERYTHING = (
    step("full"),
    step("incremental", "insert", "edit", "edit in silence", "delete"),
    step("due", "insert", "delete"),
    step("incremental", "return in silence", "return in silence"),
    step("full"),
    step("full", "delete"),
    step("full", "return"),
    step("full", "delete", "edit", trouble="rows come twice"),
    step("full", "delete", trouble="fails"),
    step("full", "edit in silence", "delete", resumed=True),
    step("full", "edit", "insert", trouble="fails", partial=True),
    step("full", "edit in silence", partial=True, resumed=True),
    step("incremental", "edit", trouble="fails"),
    step("due", "return"),
)


class Project:
    """``people`` is what a complete fetch brings; ``unseen``, what no ``$last_seen`` tells of."""

    def __init__(self):
        self.now = datetime(2020, 1, 1)
        self.people, self.gone, self.unseen = {}, {}, set()
        self.versions = 0
        for number in range(10):
            self._set(f"id{number}")

    def change(self, what, which):
        self.versions += 1
        names, gone = sorted(self.people), sorted(self.gone)
        if what == "insert":
            self._set(f"new{self.versions}")
        elif what.startswith("return") and gone:
            name = gone[which % len(gone)]
            self.people[name] = self.gone.pop(name)
            if what == "return":
                self._set(name)
            else:
                self.unseen.add(name)
        elif not what.startswith("return") and len(names) > 5:
            name = names[which % len(names)]
            if what == "edit":
                self._set(name)
            elif what == "delete":
                self.gone[name] = self.people.pop(name)
            else:
                self.people[name] = self.people[name] | {"n": self.versions}
                self.unseen.add(name)

    def _set(self, name):
        seen = self.now.strftime("%Y-%m-%dT%H:%M:%S")
        self.people[name] = {"n": self.versions, "$last_seen": seen}
        self.unseen.discard(name)

    def profiles(self):
        return [{"$distinct_id": name, "$properties": of} for name, of in self.people.items()]

    def contents(self):
        return {name: properties["n"] for name, properties in self.people.items()}


class Follower:
    """A table, in a database in memory, and the project that it follows."""

    def __init__(self, simulator, delete, history):
        self.simulator, self.delete, self.history = simulator, delete, history
        self.connection = duckdb.connect()
        self.project = Project()
        self.open = None  # what an interrupted run has seen of the project, and as which kind

    def live(self):
        where = "WHERE deleted_at IS NULL" if self.delete == "mark" else ""
        return self._rows(f"SELECT distinct_id, (properties->>'n')::INT FROM t {where}")

    def current(self):
        return self._rows(
            "SELECT distinct_id, (properties->>'n')::INT FROM t_history WHERE is_current"
        )

    def _rows(self, query):
        try:
            rows = self.connection.execute(query).fetchall()
        except duckdb.CatalogException:  # nothing has been published yet
            return {}
        assert len(rows) == len(dict(rows))
        return dict(rows)

    def fetch(self, step, *, resume=False):
        client = MixpanelAPIClient(
            username="demo",
            secret="demo-secret",
            project_id=12345,
            base_url=self.simulator.base_url,
            max_retries=0,
        )
        wish = SyncWish(delete=self.delete, history=self.history, max_gone=1.0, **KINDS[step.kind])
        request = FetchRequest(
            "t",
            mode="merge",
            parallel=True,
            sync=wish,
            resume=resume,
            tolerance=Tolerance(partial=step.partial),
        )
        plan = Assembler().plan(request, DuckDBEngine(connection=self.connection))
        return run_plan(client, plan, ParallelProfileFetchResult)

    def take(self, step):
        project = self.project
        project.now += timedelta(hours=30)
        for change in step.changes:
            project.change(*change)
        self.simulator.set_profiles(project.profiles())
        resume = self.open is not None and step.resumed
        # A run that goes on has seen the project as it was when the run began.
        truth, unseen, lacked = (
            self.open if resume else (project.contents(), set(project.unseen), False)
        )
        self.simulator.set_faults([] if resume else TROUBLES[step.trouble])
        before = self.live()
        result = self.fetch(step, resume=resume)
        lacks = lacked or bool(result.duplicate_rows) or result.exit_code != 0
        self.compare(result, before, truth, unseen, lacks=lacks)
        self.open = (truth, unseen, result.published) if result.resumable else None
        if result.sync == "full" and not lacks:
            live, now = self.live(), project.contents()
            project.unseen = {name for name in project.unseen if live.get(name) != now.get(name)}

    def compare(self, result, before, truth, unseen, *, lacks):
        live = self.live()
        if not result.published:
            assert live == before
        elif result.sync == "full" and not lacks:
            if self.delete == "ignore":
                assert live == before | truth
            else:
                assert live == truth
        else:
            for name in live.keys() | truth.keys():
                if live.get(name) == truth.get(name):
                    continue
                assert live.get(name) == before.get(name)
                assert lacks or name not in truth or name in unseen
        if lacks:
            assert not result.gone
        if self.history and result.published:
            assert self.current() == live


@pytest.fixture(scope="module")
def simulator():
    from mixpanel_fetch.simulator import EngageSimulator

    with EngageSimulator(page_size=4) as running:
        yield running


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("delete", ["mark", "hard", "ignore"])
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@example(life=EVERYTHING)
@given(life=st.lists(steps, min_size=3, max_size=6))
def test_a_table_is_the_project_or_differs_as_documented(simulator, delete, history, life):
    follower = Follower(simulator, delete, history)
    try:
        for one in (*life, step("full")):
            follower.take(one)
        assert follower.fetch(step("incremental")).updated == 0
    finally:
        follower.connection.close()
