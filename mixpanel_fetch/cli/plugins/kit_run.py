"""One run of a kit, by pytest in a process of its own, and its verdicts."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from mixpanel_fetch.cli.plugins.kit_request import KitRequest
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError
from mixpanel_fetch.secret import redact_uri

SUITE = "mixpanel_fetch.cli.plugins.kit_suite"
_CLASSES = {
    "sink": "SinkCheck",
    "transform": "TransformCheck",
    "strategy": "StrategyCheck",
    "executor": "ExecutorCheck",
}
# A script and not `python -m pytest`, which would let the current folder stand in for packages.
# Guarded, since processes that are spawned read it again.
_SCRIPT = """import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
"""
_ENDED = {0, 1}  # pytest's exit codes for a run that came to its end


@dataclass(frozen=True)
class Verdict:
    """What became of one test. ``outcome``: passed, failed or skipped."""

    test: str
    outcome: str
    words: str


def require_pytest() -> None:
    """Raise ConfigError unless there is a pytest."""
    if importlib.util.find_spec("pytest") is None:
        raise ConfigError(
            "mp plugins check needs pytest, and it is not installed; run: pip install pytest"
        )


def run_kit(request: KitRequest) -> list[Verdict]:
    """Run the kit for ``request``. Raises MixpanelFetchError if it did not come to its end."""
    with tempfile.TemporaryDirectory(prefix="mp-check-") as scratch:
        folder = Path(scratch)
        report = folder / "report.jsonl"
        report.touch()
        replace(request, report=str(report)).save(folder / "request.json")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "run.py").write_text(_SCRIPT, encoding="utf-8")
        test = f"from {SUITE} import {_CLASSES[request.kind]} as TestIt\n"
        (folder / "test_it.py").write_text(test, encoding="utf-8")
        done = _pytest(folder)
        lines = report.read_text(encoding="utf-8").splitlines()
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    if done.returncode not in _ENDED or not verdicts:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        raise MixpanelFetchError(
            f"the kit did not come to its end (pytest exited with {done.returncode}):"
            f" {redact_uri(said[-1])}"
        )
    return verdicts


def _pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    # Neither the settings nor the pytest plugins of wherever this runs have a say.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    return subprocess.run(
        [
            *(sys.executable, str(folder / "run.py"), "-q", str(folder / "test_it.py")),
            *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder)),
            *("--basetemp", str(folder / "work"), "-p", "no:cacheprovider", "--assert=plain"),
            *("-p", SUITE, "--kit-request", str(folder / "request.json")),
        ],
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
