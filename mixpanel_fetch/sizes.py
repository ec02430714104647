"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]i?B)", re.IGNORECASE | re.ASCII)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_MOST_DIGITS = 30
MIB = 1 << 20


def bytes_of(size: str) -> int:
    """Return the bytes in a size such as ``300MB`` or ``1.5 GiB``. Raises ValueError."""
    match = _SIZE.fullmatch(size.strip())
    if match is None or len(match[1]) > _MOST_DIGITS:
        raise ValueError(f"not a size: {size!r}; write it like 300MB or 1GiB")
    number, unit = match.groups()
    base = 1024 if "i" in unit.lower() else 1000
    return int(float(number) * base ** _POWERS[unit[0].lower()])


def in_words(size: int) -> str:
    """Return ``size`` in the largest unit that holds it exactly: ``256 MiB``, ``1,000 bytes``."""
    for unit, word in ((1 << 40, "TiB"), (1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {word}"
    return f"{size:,} bytes"
