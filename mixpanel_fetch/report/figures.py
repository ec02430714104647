"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

_MOST_RANGES = 20


def share(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` in per cent. Only all of it is 100%, only nothing is 0%."""
    if part <= 0 or whole <= 0:
        return "0%"
    if part >= whole:
        return "100%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1%"
    return f"{percent:.1f}%" if percent < 99.9 else ">99.9%"


def filled(part: int, whole: int) -> int:
    """Return how much of a bar is filled, 0 to 100; its two ends only where they are exact."""
    if part <= 0 or whole <= 0:
        return 0
    return 100 if part >= whole else min(99, max(1, round(100 * part / whole)))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 row`` or ``1,234 rows``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending ``numbers`` as ``3, 7-9, 12``; of many, the first, and how many more."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    shown = [f"{first}" if first == last else f"{first}\u2013{last}" for first, last in spans]
    if len(spans) <= _MOST_RANGES:
        return ", ".join(shown)
    rest = sum(last - first + 1 for first, last in spans[_MOST_RANGES:])
    return f"{', '.join(shown[:_MOST_RANGES])} and {rest:,} more"


def duration(length: timedelta) -> str:
    """Return ``length`` in its two largest units."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def instant(moment: datetime) -> str:
    """Return ``moment`` in UTC, to the second, as HTML's ``time`` takes it; naive is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
