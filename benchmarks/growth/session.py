"""One invocation: what is measured in it, in how much time, and what is left out and why."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.growth import projects
from benchmarks.growth.amounts import Amounts
from benchmarks.growth.fetches import fetch_into
from benchmarks.growth.point import Point
from benchmarks.growth.sinks import Sink
from benchmarks.processes import TookTooLongError, say

_DISK = 1000
"""Bytes a profile that must be free: what is staged, what is written ahead, and the table."""


@dataclass
class Session:
    """What came of it. ``deadline`` is one of ``time.monotonic()``; ``left_out`` has reasons."""

    folder: Path
    deadline: float
    points: list[Point] = field(default_factory=list)
    standing: projects.Standing | None = None
    left_out: dict[str, str] = field(default_factory=dict)

    def measure_sink(self, sink: Sink, counts: Sequence[int]) -> None:
        """Fetch each of the counts into ``sink``, from the least on."""
        if sink.missing:
            self._leave_out(sink.name, sink.missing)
            return
        for count in counts:
            name = f"{sink.name} at {count:,}"
            free = shutil.disk_usage(self.folder).free
            if free < count * _DISK:
                self._leave_out(name, f"{free / 1e9:.1f} GB are free, and it may need more")
            elif self._left() <= 0:
                self._leave_out(name, "no time was left")
            else:
                try:
                    self.points.append(fetch_into(sink, count, self.folder, self._left()))
                except TookTooLongError:
                    self._leave_out(name, "it was not done in the time that was left")

    def measure_projects(self, amounts: Amounts) -> None:
        """Fetch the many projects."""
        if missing := projects.missing():
            self._leave_out("projects", missing)
        elif self._left() <= 0:
            self._leave_out("projects", "no time was left")
        else:
            try:
                self.standing = projects.fetch_projects(amounts.projects, self.folder, self._left())
            except TookTooLongError:
                self._leave_out("projects", "they were not done in the time that was left")

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _leave_out(self, name: str, reason: str) -> None:
        say(f"{name}: left out: {reason}")
        self.left_out[name] = reason
