"""Spans of time and shares, as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(r"(\d{1,6}) ?(s|m|h|d|w)", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%", re.ASCII)


def duration_of(text: str) -> timedelta:
    """Return what ``90m``, ``12h`` or ``7d`` stands for. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no duration; write 90m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def share_of(text: str) -> float:
    """Return what ``50%`` stands for, 0 to 1. Raises ValueError."""
    match = _SHARE.fullmatch(text.strip())
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{text[:40]!r} is no share; write 0% to 100%")
    return float(match[1]) / 100
