"""The recipe for Airflow, in Airflow: ``tox -e recipes``, which installs it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import Fault

from .recipes import RECIPES, write_accounts

TRIAL = Path(__file__).with_name("airflow_trial.py")
SECONDS = 600
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("airflow") is None, reason="needs Airflow: tox -e recipes"
    ),
    pytest.mark.timeout(3 * SECONDS),  # it takes long to start, three times
]
JOBS = """
[jobs.users]
account = "whole"
project_id = 11
destination = "duckdb:///{folder}/11.duckdb"

[jobs.paying]
account = "whole"
project_id = 11
where = 'properties["plan"] == "business"'
destination = "duckdb:///{folder}/11.duckdb"

[jobs.halting]
account = "halting"
project_id = 22
destination = "duckdb:///{folder}/22.duckdb"

[jobs.refused]
account = "refused"
project_id = 33
destination = "duckdb:///{folder}/33.duckdb"
"""


class Airflow:
    """An Airflow of its own, in ``folder``; nothing of it is served."""

    def __init__(self, folder, **settings):
        self.environment = {
            **os.environ,
            **settings,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(RECIPES),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(RECIPES),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.folder = folder

    def run(self, program, *arguments):
        done = subprocess.run(
            [program, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def command(self, *arguments):
        return self.run(Path(sys.executable).with_name("airflow"), *arguments)


@pytest.fixture
def airflow(tmp_path, engage_simulator):
    folder = tmp_path / "airflow"
    folder.mkdir()
    whole = engage_simulator(profiles=500, project_id=11)
    halting = engage_simulator(
        profiles=500, page_size=100, project_id=22, faults=[Fault(3, "400", times=1)]
    )
    refused = engage_simulator(profiles=50, project_id=33)
    stranger = type(refused.config)(project_id=33, secret="not this one")
    accounts = {
        "whole": (whole.base_url, whole.config),
        "halting": (halting.base_url, halting.config),
        "refused": (refused.base_url, stranger),
    }
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(JOBS.format(folder=tmp_path), encoding="utf-8")
    config = write_accounts(tmp_path / "config.toml", accounts)
    airflow = Airflow(folder, MIXPANEL_JOBS=str(jobs), MP_CONFIG=str(config))
    airflow.command("db", "migrate")
    return airflow, halting


def test_jobs_take_turns_for_their_project_go_on_when_tried_again_and_fail_alone(airflow):
    airflow, halting = airflow
    said = json.loads(airflow.run(sys.executable, TRIAL).splitlines()[-1])
    assert said["pools"] == {f"project_{number}": f"mixpanel_{number}" for number in (11, 22, 33)}
    assert said["tries"] == {
        "project_11/0": ["success", 1],
        "project_11/1": ["success", 1],
        "project_22/0": ["success", 2],
        "project_33/0": ["failed", 1],
    }
    assert said["state"] == "failed"  # of the DAG's run: somebody must look at project 33
    assert halting.stats.pages == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}


def test_the_pool_of_the_page_is_one_that_airflow_takes(airflow):
    page = (RECIPES.parent / "howto" / "schedulers.md").read_text(encoding="utf-8")
    (name, slots, words) = re.search(r'^airflow pools set (\w+) (\d) "(.*)"$', page, re.M).groups()
    airflow[0].command("pools", "set", name, slots, words)
    pools = json.loads(airflow[0].command("pools", "list", "--output", "json"))
    (pool,) = (one for one in pools if one["pool"] == name)
    assert (name, pool["slots"]) == ("mixpanel_12345", "1")
