"""Random schedules: all is there in the end, and no try says that more is there than is."""

from __future__ import annotations

import pytest

from mixpanel_fetch.simulator import EngageSimulator

from .course import Course
from .schedule import Schedule, Stop, kill_schedule_of, schedule_of
from .sinks import SINKS
from .tries import try_here, try_process


@pytest.fixture(params=SINKS)
def sink(request):
    return SINKS[request.param]


def fetch_here(schedule, simulator, uri, resume, stop):
    return try_here(schedule, simulator, uri, resume=resume, stop=stop)


def fetch_process(schedule: Schedule, simulator, uri, resume: bool, stop: Stop | None):
    arguments = ["users", "--max-wait", "5"]
    arguments += ["--parallel", "--workers", str(schedule.workers)] if schedule.parallel else []
    arguments += [] if schedule.mode == "create" else [f"--{schedule.mode}"]
    arguments += ["--resume"] if resume else []
    return try_process(arguments, simulator, uri, stop)


def judged(course, test, capfd):
    """Run the course; fail with all that is needed to understand and to repeat it."""
    course.run()
    said = capfd.readouterr().err
    if said:
        course.complaints.append(f"on stderr: {said[-2000:]}")
    if course.complaints:
        tries = "\n".join(f"  {number}: {told}" for number, told in enumerate(course.said, 1))
        complaints = "\n".join(f"  {complaint}" for complaint in course.complaints)
        again = f"tox -e chaos -- --seed {course.schedule.seed} -k {test}"
        pytest.fail(
            f"{course.schedule}\ntries:\n{tries}\nwrong:\n{complaints}\nto repeat: {again}",
            pytrace=False,
        )


def test_faults_and_interrupts(seed, sink, tmp_path, capfd):
    schedule = schedule_of(seed, sink.modes)
    with EngageSimulator(page_size=schedule.page_size, concurrency_limit=None) as simulator:
        course = Course(schedule, sink, simulator, tmp_path / "place", fetch_here)
        judged(course, "faults_and_interrupts", capfd)


def test_kills(kill_seed, sink, tmp_path, capfd):
    schedule = kill_schedule_of(kill_seed, sink.modes)
    with EngageSimulator(
        page_size=schedule.page_size, concurrency_limit=None, latency=0.01
    ) as simulator:
        course = Course(schedule, sink, simulator, tmp_path / "place", fetch_process)
        judged(course, "kills", capfd)
