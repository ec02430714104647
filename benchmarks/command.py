"""``mp`` as a user runs it, measured from the outside."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, Usage, clean_environment, measure
from mixpanel_fetch.simulator import SimulatorProcess

MP = Path(sys.executable).with_name("mp")


@dataclass(frozen=True)
class Fetched:
    """A fetch: what its process took, and the ``duration_seconds`` of its result."""

    usage: Usage
    seconds: float


def fetch(simulator: SimulatorProcess, folder: Path) -> Fetched:
    """Run ``mp fetch profiles --parallel`` into a new DuckDB file, which is removed afterwards.

    Raises BenchmarkError unless every profile landed.
    """
    profiles = simulator.config.profiles
    return fetch_from(simulator.base_url, int(str(profiles)), folder)


def fetch_from(
    base_url: str, profiles: int, folder: Path, *, ca_bundle: str | None = None
) -> Fetched:
    """Do as :func:`fetch` does, from any address that serves ``profiles``."""
    file = folder / "fetched.duckdb"
    usage = measure(
        f"mp fetch profiles --parallel, {profiles:,} profiles",
        [MP, "fetch", "profiles", "--parallel", "--no-progress", "--to", f"duckdb:///{file}"],
        folder=folder,
        env=clean_environment(
            folder,
            MP_USERNAME="demo",
            MP_SECRET="demo-secret",
            MP_PROJECT_ID="12345",
            MP_API_BASE_URL=base_url,
            **({"REQUESTS_CA_BUNDLE": ca_bundle} if ca_bundle else {}),
        ),
    )
    file.unlink()
    result = json.loads(usage.out)
    if result["total_rows"] != profiles:
        raise BenchmarkError(f"{result['total_rows']:,} of {profiles:,} profiles landed")
    return Fetched(usage, result["duration_seconds"])
