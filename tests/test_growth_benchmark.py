"""The scale proof runs, small; and what it says of figures follows from them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 900
pytestmark = pytest.mark.timeout(SECONDS + 60)  # on a busy machine
SINKS = {"duckdb": "duckdb", "delta": "mixpanel_fetch_delta"}
MACHINE = {
    **{"cores": 2, "system": "Linux", "python": "3"},
    **dict.fromkeys(("mixpanel-fetch", "duckdb", "gevent", "requests", "msgspec"), "1"),
}


def run(module, *arguments):
    # What the benchmarks start must not be traced: it takes time and says nothing.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def there(*modules):
    return all(importlib.util.find_spec(module) is not None for module in modules)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    results = tmp_path_factory.mktemp("growth") / "growth.json"
    done = run("benchmarks.growth", "--small", "--minutes", SECONDS / 90, "--json", results)
    assert done.returncode == 0, done.stderr
    return done, json.loads(results.read_text(encoding="utf-8")), results


def test_each_sink_is_measured_at_rising_counts_or_left_out_with_a_reason(small):
    done, document, _ = small
    for sink, module in SINKS.items():
        counts = [point["profiles"] for point in document["points"] if point["sink"] == sink]
        if there(module):
            assert len(counts) > 1
            assert counts == sorted(counts)
        else:
            assert counts == []
            assert document["left_out"][sink] == f"mixpanel-fetch-{sink} is not installed"
            assert f"{sink}: left out: " in done.stdout
    for point in document["points"]:
        assert all(point[name] > 0 for name in ("wall", "cpu", "server_cpu", "peak", "disk"))


def test_many_projects_are_measured_where_dask_is(small):
    _, document, _ = small
    if not there("distributed", "mixpanel_fetch_dask"):
        assert "mixpanel-fetch-dask not installed" in document["left_out"]["projects"]
        return
    standing = document["projects"]
    assert len(standing["peaks"]) == standing["load"]["workers"] == 2
    assert 0 < standing["in_flight"] <= 5


def test_nothing_is_begun_when_there_is_no_time():
    done = run("benchmarks.growth", "--minutes", 1e-9)
    assert done.returncode == 0, done.stderr
    assert "duckdb at 10,000,000: left out: no time was left" in done.stdout


@pytest.mark.skipif(not there("matplotlib"), reason="needs matplotlib")
def test_results_become_a_picture(small, tmp_path):
    picture = tmp_path / "growth.png"
    done = run("benchmarks.growth.plot", small[2], picture)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("peak", "words"), [(120.0, "1.20 times"), (121.0, "NOT MET")])
def test_growing_memory_is_told_and_carried_on_to_a_hundred_million(tmp_path, peak, words):
    point = {"sink": "duckdb", "wall": 9.0, "server_cpu": 3.0}
    points = [
        {**point, "profiles": 1_000_000, "cpu": 36.0, "peak": 100.0, "disk": 250_000_000},
        {**point, "profiles": 10_000_000, "cpu": 360.0, "peak": peak, "disk": 2_500_000_000},
    ]
    results = tmp_path / "growth.json"
    document = {
        **{"machine": MACHINE, "small": False, "reference": 1_000_000},
        **{"points": points, "projects": None, "left_out": {}},
    }
    results.write_text(json.dumps(document), encoding="utf-8")
    said = run("benchmarks.growth.report", results).stdout
    assert words in said
    assert "at 100,000,000, going on as from 1,000,000 to 10,000,000: 1.00 hours of CPU" in said
    assert f"peak {peak + 10 * (peak - 100):.0f} MB, 25.0 GB on disk" in said


def test_the_readme_tells_of_it():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.growth" in text
    assert "growth.png" in text
