"""What running processes took so far, as Linux tells it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def cpu_of(pid: int) -> float:
    """Return seconds of CPU, user and system."""
    # The name of the program stands in brackets and may hold blanks: count from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid: int) -> float:
    """Return the peak of resident memory in MB of 1,048,576 bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    return int(found[1]) / 1024 if found else 0.0


def bytes_in(folder: Path) -> int:
    """Return the bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
