"""``--seed N`` repeats one schedule, ``--schedules COUNT`` says how many there are."""

from __future__ import annotations

import os
import sys

import pytest

SCHEDULES, KILLS = 200, 40


def pytest_addoption(parser):
    group = parser.getgroup("chaos")
    group.addoption("--seed", type=int, action="append", help="only this schedule; repeatable")
    group.addoption("--schedules", type=int, default=SCHEDULES, help="schedules of faults")
    group.addoption("--kills", type=int, default=KILLS, help="schedules of kills")


def pytest_generate_tests(metafunc):
    for name, option in (("seed", "schedules"), ("kill_seed", "kills")):
        if name in metafunc.fixturenames:
            config = metafunc.config
            seeds = config.getoption("seed") or range(config.getoption(option))
            metafunc.parametrize(name, seeds, ids=str)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Loopback only, and nothing of a measuring parent in the children."""
    for name in list(os.environ):
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def quick_switches():
    """Simulator and fetch share this process: let them take turns faster than every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(before)
