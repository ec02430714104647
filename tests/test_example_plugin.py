"""The example distribution, installed as a third party's would be, works by name."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import SimulatorProcess

EXAMPLE = Path(__file__).parents[1] / "plugins" / "mixpanel-fetch-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder of installed packages that holds the example, and nothing else."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True)
    return folder / "site"


@pytest.fixture
def mp_with(installed, tmp_path):
    def call(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "mixpanel_fetch.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return call


def test_it_is_listed_with_its_distribution_and_version(mp_with):
    rows = json.loads(mp_with("plugins", "list", "--json").stdout)
    mine = [row for row in rows if row["distribution"] == "mixpanel-fetch-example"]
    assert {(row["kind"], row["name"], row["version"], row["status"]) for row in mine} == {
        ("sink", "example-csv", "0.1.0", "ok"),
        ("transform", "keep-fraction", "0.1.0", "ok"),
        ("strategy", "every-other", "0.1.0", "ok"),
    }


def test_a_fetch_with_all_three_of_it(mp_with, tmp_path):
    with SimulatorProcess(profiles=900, page_size=100) as simulator:
        account = {
            "MP_USERNAME": "demo",
            "MP_SECRET": "demo-secret",
            "MP_PROJECT_ID": "12345",
            "MP_API_BASE_URL": simulator.base_url,
        }
        done = mp_with(
            "fetch", "profiles", "--to", "example-csv://out.csv", "--strategy", "every-other",
            "-o", "odd_first=true", "--transform", "keep-fraction:0.3", **account,
        )  # fmt: skip
        order = [request.page for request in simulator.stats.requests]
        refused = mp_with(
            "fetch", "profiles", "--to", "example-csv://new.csv", "--replace", **account
        )
        count = simulator.stats.received
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert order == [0, 1, 3, 5, 7, 2, 4, 6, 8]
    assert document["rows_received"] == 900
    assert document["total_rows"] + document["rows_dropped"] == 900
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == document["total_rows"] + 1
    assert refused.returncode == 3
    assert count == 9
