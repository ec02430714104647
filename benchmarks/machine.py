"""The machine and the versions that a result belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

_PACKAGES = ("mixpanel-fetch", "duckdb", "gevent", "requests", "msgspec")


def machine() -> dict[str, str | int]:
    """Return cores, Python and the packages' versions, without importing any of them."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def machine_line(described: dict[str, str | int]) -> str:
    """Return the same as one line."""
    versions = (f"{name} {described[name]}" for name in ("python", *_PACKAGES))
    return ", ".join([f"{described['cores']} cores", str(described["system"]), *versions])
