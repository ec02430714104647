"""The sinks that a growing number of profiles goes into."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sink:
    """``location`` is below the folder that a fetch gets; ``module`` is what the sink needs."""

    name: str
    location: str
    module: str
    distribution: str

    @property
    def missing(self) -> str:
        """Why the sink cannot be measured here; empty if it can."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.distribution} is not installed"
        return ""

    def uri(self, folder: Path) -> str:
        """Return what ``--to`` takes."""
        return f"{self.name}:///{folder / self.location}"


SINKS = {
    sink.name: sink
    for sink in (
        Sink("duckdb", "profiles.duckdb", "duckdb", "duckdb"),
        Sink("delta", "lake", "mixpanel_fetch_delta", "mixpanel-fetch-delta"),
    )
}
