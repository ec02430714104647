"""``fetch_many``: one outcome a job, whatever becomes of the others."""

from __future__ import annotations

import pickle
import re
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import duckdb
import pytest

from mixpanel_fetch import BaseEngine, BaseLoad, ConfigError, fetch_many
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.stopping import StopSign

PATIENCE = 60


def by_name(outcomes):
    return {outcome.job: outcome for outcome in outcomes}


def statuses(outcomes):
    return {outcome.job: outcome.status for outcome in outcomes}


class Meeting(BaseEngine):
    """Its runs wait in ``begin`` until ``enter`` returns; counts how many are there at once."""

    def __init__(self, enter):
        self.enter, self.inside, self.most = enter, 0, 0
        self.lock = threading.Lock()

    def begin(self, table, mode, run):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.enter()
        with self.lock:
            self.inside -= 1
        return Silent()


class Silent(BaseLoad):
    def write(self, page_index, batch):
        return len(batch)


def into(engine, **more):
    return {"connection": {"destination": engine, **more}, "mode": "create"}


@pytest.mark.no_cover  # long; shorter tests cover the same lines
def test_twenty_projects_proceed_and_one_with_a_wrong_secret_fails_alone(projects, tmp_path):
    made = projects(20, wrong={3}, latency=0.01)
    found = by_name(fetch_many(made.jobs(), max_jobs=6))
    assert sorted(found) == sorted(made.names)
    assert {name for name in found if found[name].status != "done"} == {"p3"}
    assert (found["p3"].status, found["p3"].exit_code) == ("failed", 2)
    assert found["p3"].error == "AuthenticationError"
    for name in set(made.names) - {"p3"}:
        assert found[name].result.total_rows == 300
        with duckdb.connect(str(tmp_path / f"{name}.duckdb"), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (300,)
    assert max(simulator.stats.max_in_flight for simulator in made.simulators) <= 5


def test_jobs_of_one_project_and_one_destination_never_run_side_by_side(projects):
    made = projects(1, latency=0.02)
    jobs = [made.job(0, name=name, table=name) for name in "abcd"]
    assert set(statuses(fetch_many(jobs, max_jobs=4)).values()) == {"done"}
    assert made.simulators[0].stats.max_in_flight <= 5
    pages = sorted((one.started, one.session_id) for one in made.simulators[0].stats.requests)
    sessions = [session for _, session in pages if session is not None]
    assert sum(a != b for a, b in pairwise(sessions)) == 3


def test_jobs_of_two_projects_run_side_by_side(projects):
    made = projects(2)
    barrier = threading.Barrier(2)
    engines = [Meeting(lambda: barrier.wait(PATIENCE)) for _ in range(2)]
    jobs = [made.job(number, **into(engine)) for number, engine in enumerate(engines)]
    assert statuses(fetch_many(jobs)) == {"p0": "done", "p1": "done"}


def test_a_destination_takes_one_run_at_a_time_unless_it_claims_more(projects):
    made = projects(2)
    alone = Meeting(lambda: None)
    jobs = [made.job(number, table=f"t{number}", **into(alone)) for number in range(2)]
    assert statuses(fetch_many(jobs)) == {"p0": "done", "p1": "done"}
    assert alone.most == 1

    barrier = threading.Barrier(2)
    several = Meeting(lambda: barrier.wait(PATIENCE))
    several.capabilities = frozenset({"concurrent"})
    jobs = [made.job(number, table=f"t{number}", **into(several)) for number in range(2)]
    assert statuses(fetch_many(jobs)) == {"p0": "done", "p1": "done"}


def test_a_job_that_waits_for_its_project_is_overtaken(projects):
    made = projects(2)
    third_is_done = threading.Event()
    slow = Meeting(lambda: third_is_done.wait(PATIENCE))
    jobs = [
        made.job(0, name="first", **into(slow)),
        made.job(0, name="second", table="other"),
        made.job(1, name="third"),
    ]
    order = []
    for outcome in fetch_many(jobs):
        order.append(outcome.job)
        if outcome.job == "third":
            third_is_done.set()
    assert order == ["third", "first", "second"]


def test_what_is_handed_over_and_what_comes_back_can_be_pickled(projects, here):
    """Secrets stay where they are looked up."""

    class Abroad(here):
        sent = b""

        def call(self, fn, *args, **kwargs):
            call = pickle.dumps((fn, args, kwargs))
            Abroad.sent += call
            fn, args, kwargs = pickle.loads(call)
            outcome = fn(*args, **kwargs)
            back = pickle.loads(pickle.dumps(outcome))
            assert back.to_dict() == outcome.to_dict()
            return back

    made = projects(3, wrong={2})
    made.simulators[1].set_faults([Fault(2, "500", times=None)])
    partial = made.job(1, connection={"max_retries": 0}, fetch={"allow_partial": True})
    found = by_name(fetch_many([made.job(0), partial, made.job(2)], Abroad()))
    assert statuses(found.values()) == {"p0": "done", "p1": "incomplete", "p2": "failed"}
    assert found["p1"].result.failed_page_indices == (2,)
    assert type(found["p1"].result.failures[0].error).__name__ == "ServerError"
    assert b"p0" in Abroad.sent
    assert b"demo-secret" not in Abroad.sent
    assert b"mistaken" not in Abroad.sent


def test_an_executor_that_refuses_or_breaks_costs_only_what_it_had(projects, here):
    class Moody(here):
        def submit(self, fn, /, job, *args, **kwargs):
            if job.name == "p0":
                raise RuntimeError("no more today")
            return super().submit(fn, job, *args, **kwargs)

        def call(self, fn, job, *args, **kwargs):
            if job.name == "p1":
                raise CancelledError
            if job.name == "p2":
                raise OSError("the wire was cut")
            return fn(job, *args, **kwargs)

    found = by_name(fetch_many(projects(4).jobs(), Moody()))
    assert statuses(found.values()) == {
        "p0": "not run",
        "p1": "not run",
        "p2": "failed",
        "p3": "done",
    }
    assert [found[f"p{number}"].exit_code for number in range(4)] == [1, 1, 1, 0]
    assert "did not take it: RuntimeError: no more today" in found["p0"].words
    assert found["p1"].words == "the executor gave it up"
    assert found["p2"].words == "OSError: the wire was cut"


def test_cancel_stops_what_runs_and_lets_nothing_begin(projects):
    made = projects(4, page_latency={1: PATIENCE, 2: PATIENCE})
    cancel = threading.Event()
    jobs = [*made.jobs(), made.job(0, name="again", table="again")]
    started = []
    outcomes = fetch_many(jobs, max_jobs=2, cancel=cancel, on_start=started.append)
    watcher = threading.Thread(target=set_once_served, args=(cancel, made.simulators[:2]))
    watcher.start()
    found = by_name(outcomes)
    watcher.join()
    assert [job.name for job in started] == ["p0", "p1"]
    assert {found["p0"].status, found["p1"].status} == {"interrupted"}
    for name in ("p2", "p3", "again"):
        assert (found[name].status, found[name].exit_code) == ("not run", 130)


def set_once_served(event, simulators):
    """Set ``event`` once each was asked for page 0, and more."""
    for simulator in simulators:
        while simulator.stats.received < 2:
            event.wait(0.01)
    event.set()


def test_closing_the_iterator_stops_what_runs(projects):
    made = projects(3, page_latency={1: PATIENCE})
    made.simulators[0].set_faults([Fault(0, "400", times=None)])
    with ThreadPoolExecutor(2) as executor:
        outcomes = fetch_many(made.jobs(), executor, max_jobs=2)
        assert next(outcomes).job == "p0"
        outcomes.close()
    outcomes = fetch_many(made.jobs(), max_jobs=2)
    assert next(outcomes).job == "p0"
    outcomes.close()
    assert [one.name for one in threading.enumerate() if re.match(r"job[_ ]", one.name)] == []


def test_an_executor_that_cannot_stop_what_runs_is_told_of(projects, here, caplog):
    class Stubborn(here):
        def stop_running(self, ask):
            raise OSError("it does not listen")

    cancel = threading.Event()
    outcomes = fetch_many(projects(2).jobs(), Stubborn(), max_jobs=1, cancel=cancel)
    assert next(outcomes).status == "done"
    cancel.set()
    assert [one.status for one in outcomes] == ["not run"]
    assert "the executor cannot stop what runs: OSError: it does not listen" in caplog.text


def test_only_what_is_due_runs_where_that_is_wanted(projects):
    made = projects(1)
    jobs = [made.job(0)]
    assert statuses(fetch_many(jobs)) == {"p0": "done"}
    jobs = [made.job(0, every=timedelta(days=1))]
    assert statuses(fetch_many(jobs, only_due=True)) == {"p0": "not due"}
    assert statuses(fetch_many(jobs)) == {"p0": "done"}


def test_what_cannot_be_is_said_at_once(projects):
    made = projects(1)
    with pytest.raises(ConfigError, match="max_jobs must be at least 1, not 0"):
        fetch_many(made.jobs(), max_jobs=0)
    with pytest.raises(ConfigError, match="2 jobs are called 'p0'"):
        fetch_many([*made.jobs(), *made.jobs()])
    assert list(fetch_many([])) == []


def test_a_sign_is_one_in_each_process_and_says_so_when_it_was_called():
    sign = StopSign()
    there = pickle.dumps(sign)
    assert pickle.loads(there) is sign
    sign()
    assert pickle.loads(there).event.is_set()
    late = pickle.dumps(sign)
    assert pickle.loads(late).event.is_set()
