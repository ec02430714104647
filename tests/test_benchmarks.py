"""The benchmarks run, small; what they measure is not looked at here."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
CASES = {"latency", "throughput", "steady", "memory", "startup", "transforms"}


def run(module, *arguments, timeout=280, **more):
    # What the benchmarks start must not be traced: it takes time and says nothing.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, *module, *map(str, arguments)],
        cwd=ROOT,
        env={**kept, **more},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    results = tmp_path_factory.mktemp("benchmarks") / "results.json"
    done = run(("-m", "benchmarks"), "--small", "--json", results)
    assert done.returncode == 0, done.stderr
    return done, results


def test_every_case_runs_and_gives_figures(small):
    done, results = small
    document = json.loads(results.read_text(encoding="utf-8"))
    assert document["machine"]["cores"] > 0
    figures = document["figures"]
    assert {figure["case"] for figure in figures} == CASES
    for figure in figures:
        assert figure["name"] in done.stdout
        if figure["unit"] != "modules":
            # A difference of two times may come out below nothing, as small as these are.
            least = float("-inf") if " less " in figure["what"] else 0
            assert all(value > least for value in figure["samples"]), figure
            assert all(value > 0 for value in figure["floor_samples"]), figure
        assert len(figure["ratios"]) == len(figure["floor_samples"])


def test_mp_imports_nothing_heavy_to_say_its_version(small):
    figures = json.loads(small[1].read_text(encoding="utf-8"))["figures"]
    (heavy,) = (figure for figure in figures if figure["name"] == "startup/imports")
    assert heavy["samples"] == [0]


def test_the_readme_names_every_case():
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{case}` |" in text for case in CASES)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")
def test_results_become_a_picture(small, tmp_path):
    picture = tmp_path / "results.png"
    done = run(("-m", "benchmarks.plot"), small[1], picture)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('localhost', 9))",
        "socket.socket().connect(('127.0.0.2', 9))",
        "socket.socket().connect_ex(('127.0.0.1', 10))",
        "socket.gethostbyname('localhost')",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
    ],
)
def test_other_tools_are_kept_off_every_place_but_the_simulator(attempt):
    route = {"PYTHONPATH": str(BENCHMARKS / "peers" / "route"), "BENCHMARK_PORT": "9"}
    done = run(("-c",), f"import socket; {attempt}", **route)
    assert "RefusedAddressError" in done.stderr
