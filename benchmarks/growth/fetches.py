"""``mp fetch profiles`` of so many profiles into a sink, in a process of its own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.command import MP
from benchmarks.growth.point import Point
from benchmarks.growth.process_facts import bytes_in, cpu_of
from benchmarks.growth.sinks import Sink
from benchmarks.processes import BenchmarkError, clean_environment, measure
from mixpanel_fetch.simulator import SimulatorProcess


def fetch_into(sink: Sink, profiles: int, folder: Path, timeout: float) -> Point:
    """Fetch ``profiles`` narrow profiles and return what that took; nothing of it is kept.

    The simulator makes each page up as it is asked for, so its memory does not grow either. Raises
    TookTooLongError after ``timeout`` seconds, BenchmarkError unless every profile landed.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        SimulatorProcess(profiles=profiles, cache_bytes=0) as simulator,
    ):
        place = Path(name)
        usage = measure(
            f"mp fetch profiles --parallel, {profiles:,} profiles into {sink.name}",
            [MP, "fetch", "profiles", "--parallel", "--no-progress", "--to", sink.uri(place)],
            folder=folder,
            env=clean_environment(
                folder,
                MP_USERNAME="demo",
                MP_SECRET="demo-secret",
                MP_PROJECT_ID="12345",
                MP_API_BASE_URL=simulator.base_url,
            ),
            timeout=timeout,
        )
        landed = json.loads(usage.out)["total_rows"]
        if landed != profiles:
            raise BenchmarkError(f"{sink.name}: {landed:,} of {profiles:,} profiles landed")
        return Point(
            sink.name,
            profiles,
            usage.wall,
            usage.cpu,
            cpu_of(simulator.pid),
            usage.peak,
            bytes_in(place),
        )
