"""What one fetch of so many profiles took."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MILLION = 1_000_000


@dataclass(frozen=True)
class Point:
    """One fetch into ``sink``.

    ``wall``, ``cpu`` and ``server_cpu`` in seconds: of the process of ``mp``, and what the
    simulator took meanwhile to make its pages up. ``peak`` in MB of 1,048,576 bytes; ``disk`` in
    bytes, when the process has ended.
    """

    sink: str
    profiles: int
    wall: float
    cpu: float
    server_cpu: float
    peak: float
    disk: int

    @property
    def cpu_per_row(self) -> float:
        """Microseconds of CPU a profile, start and end of the process included."""
        return self.cpu / self.profiles * MILLION

    @property
    def disk_per_row(self) -> float:
        """Bytes on disk a profile."""
        return self.disk / self.profiles

    def document(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        return asdict(self)
