"""Many projects: one after the other in one process, then on the workers of a Dask cluster."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.command import MP
from benchmarks.growth.process_facts import cpu_of, peak_of
from benchmarks.growth.servers import write_accounts
from benchmarks.growth.service import service
from benchmarks.processes import BenchmarkError, Usage, clean_environment, measure

_NEEDED = {"distributed": "distributed", "mixpanel_fetch_dask": "mixpanel-fetch-dask"}


@dataclass(frozen=True)
class Load:
    """How many projects of how many profiles; ``latency`` in seconds a page.

    On the cluster, ``at_once`` of them run on each of ``workers`` processes.
    """

    projects: int
    profiles: int
    latency: float
    workers: int = 2
    at_once: int = 4


@dataclass(frozen=True)
class Standing:
    """What all projects took.

    ``alone`` and ``wall`` in seconds: one after the other in one process, and on the cluster.
    ``cpu`` in seconds, of the workers together; ``peaks`` in MB, of each; ``in_flight``: the most
    requests that any one project saw at once, over both.
    """

    load: Load
    alone: float
    wall: float
    cpu: float
    peaks: tuple[float, ...]
    in_flight: int

    def document(self) -> dict[str, Any]:
        """Return everything as JSON takes it; :meth:`of` reads it."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Standing:
        """Return what a document stands for."""
        return cls(**{**document, "load": Load(**document["load"])})


def missing() -> str:
    """Return why this cannot be measured here; empty if it can."""
    lacking = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    return f"{' and '.join(lacking)} not installed" if lacking else ""


def fetch_projects(load: Load, folder: Path, timeout: float) -> Standing:
    """Fetch all projects both ways. ``timeout`` in seconds, for each.

    Raises TookTooLongError, and BenchmarkError unless every profile of every project landed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        config = place / "config.toml"
        env = clean_environment(
            place, MP_CONFIG=str(config), XDG_CACHE_HOME=str(place), PYTHONPATH=str(ROOT)
        )
        served = {key: getattr(load, key) for key in ("projects", "profiles", "latency")}
        with service("benchmarks.growth.servers", env) as servers:
            accounts = write_accounts(servers.ask(served), config)
            one_by_one = _fetch(
                "one after the other",
                _jobs(accounts, place / "alone"),
                ["--jobs", "1"],
                env,
                timeout,
            )
            with service("benchmarks.growth.cluster", env) as cluster:
                there = cluster.ask({"workers": load.workers, "threads": load.at_once})
                options = ["--executor", "dask", "-o", f"scheduler={there['address']}"]
                options += ["--jobs", str(load.workers * load.at_once)]
                what = f"on {load.workers} Dask workers"
                spent = sum(map(cpu_of, there["pids"]))
                together = _fetch(what, _jobs(accounts, place / "dask"), options, env, timeout)
                cpu = sum(map(cpu_of, there["pids"])) - spent
                peaks = tuple(map(peak_of, there["pids"]))
            in_flight = max(servers.ask())
        for usage in (one_by_one, together):
            _check(usage, load)
    return Standing(load, one_by_one.wall, together.wall, cpu, peaks, in_flight)


def _jobs(accounts: list[str], folder: Path) -> Path:
    folder.mkdir()
    path = folder / "jobs.toml"
    with path.open("w", encoding="utf-8") as file:
        file.write("[defaults]\nparallel = true\n")
        for account in accounts:
            file.write(
                f'[jobs.{account}]\naccount = "{account}"\ntable = "profiles"\n'
                f'destination = "duckdb:///{folder}/{account}.duckdb"\n'
            )
    return path


def _fetch(what: str, jobs: Path, options: list[str], env: dict[str, str], timeout: float) -> Usage:
    return measure(
        f"mp fetch many, {what}",
        [MP, "fetch", "many", jobs, "-q", "--format", "json", *options],
        folder=jobs.parent,
        env=env,
        timeout=timeout,
    )


def _check(usage: Usage, load: Load) -> None:
    landed = [job["result"]["total_rows"] for job in json.loads(usage.out)["jobs"]]
    if landed != [load.profiles] * load.projects:
        raise BenchmarkError(f"{sum(landed):,} profiles of {len(landed)} projects landed")
