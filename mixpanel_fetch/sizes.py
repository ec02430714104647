"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B)", re.IGNORECASE | re.ASCII)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
MIB = 1 << 20


def bytes_of(size: str) -> int:
    """Return the bytes in a size such as ``300MB`` or ``1.5 GiB``. Raises ValueError."""
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError(f"not a size: {size!r}; write it like 300MB or 1GiB")
    number, unit = match.groups()
    base = 1024 if "i" in unit.lower() else 1000
    return int(float(number) * base ** _POWERS[unit[0].lower()])
