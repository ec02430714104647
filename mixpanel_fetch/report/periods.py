"""Days gathered into periods: as many as a chart can show, each of one length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

Days = Sequence[tuple[date, int]]

_MOST = 62
_TAIL = 200  # on each side, one row in 200 may lie too far off to be drawn


@dataclass(frozen=True)
class Step:
    """A length of time: how many of it lie before a day, and how the n-th of them is called."""

    name: str
    number: Callable[[date], int]
    label: Callable[[int], str]


def _week(number: int) -> str:
    return date.fromordinal(7 * number + 1).isoformat()


# The first day of the calendar (0001-01-01) is a Monday.
STEPS = (
    Step("day", date.toordinal, lambda n: date.fromordinal(n).isoformat()),
    Step("week", lambda day: (day.toordinal() - 1) // 7, _week),
    Step(
        "month",
        lambda day: 12 * day.year + day.month - 1,
        lambda n: f"{n // 12:04d}-{n % 12 + 1:02d}",
    ),
    Step("year", lambda day: day.year, "{:04d}".format),
    Step("decade", lambda day: day.year // 10, lambda n: f"{n:03d}0s"),
    Step("century", lambda day: day.year // 100, lambda n: f"{n:02d}00s"),
)


@dataclass(frozen=True)
class Periods:
    """Rows by period, in order, empty ones too; and the rows of days that no period covers."""

    step: str
    rows: tuple[tuple[str, int], ...]
    first: date
    last: date
    earlier: int = 0
    later: int = 0


def periods_of(days: Days) -> Periods | None:
    """Gather ``days``, in order, into 62 periods or fewer (100 centuries at worst).

    The fewest rows on either side are left out, and counted, where the time between them and the
    others is longer than that of all others: one profile of 1970 would leave no more than a spike
    to be seen. None where there is no day.
    """
    if not days:
        return None
    kept = _without_tails(days)
    first, last = kept[0][0], kept[-1][0]
    step = next((each for each in STEPS if _length(each, first, last) <= _MOST), STEPS[-1])
    counts: Counter[int] = Counter()
    for day, rows in kept:
        counts[step.number(day)] += rows
    return Periods(
        step=step.name,
        rows=tuple((step.label(n), counts[n]) for n in range(min(counts), max(counts) + 1)),
        first=first,
        last=last,
        earlier=sum(rows for day, rows in days if day < first),
        later=sum(rows for day, rows in days if day > last),
    )


def _length(step: Step, first: date, last: date) -> int:
    return step.number(last) - step.number(first) + 1


def _without_tails(days: Days) -> Days:
    most = sum(rows for _, rows in days) // _TAIL
    start, end = _tail(days, most), len(days) - _tail(days[::-1], most)
    if start >= end:
        return days
    gap = max((days[end - 1][0] - days[start][0]).days, _MOST)
    return days[_far(days[: start + 1], gap) : len(days) - _far(days[: end - 2 : -1], gap)]


def _tail(days: Days, most: int) -> int:
    """Return how many of the first days hold no more than ``most`` rows together."""
    left = most
    for index, (_, rows) in enumerate(days):
        left -= rows
        if left < 0:
            return index
    return len(days)


def _far(days: Days, gap: int) -> int:
    """Return how many of the first days lie before the last gap of more than ``gap`` days."""
    distances = [abs((b - a).days) for (a, _), (b, _) in pairwise(days)]
    return max((n for n, distance in enumerate(distances, 1) if distance > gap), default=0)
