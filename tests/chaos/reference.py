"""What must be there: profiles from a seed, and the rows that they are in a table.

Nothing here asks the package how a profile becomes a row: properties are what was sent but for
``$last_seen``, which has a column of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .schedule import Schedule

Value = tuple[str, "str | None"]
"""Properties as JSON with sorted keys, and last_seen as text."""

_START = datetime(2026, 1, 1)
_NAMES = ("Ada", "Zoë", "李雷", 'O\'Neil "x"', "line\nbreak", "\u2028", "😀", "", "back\\slash")
_NUMBERS = (0, -1, 1.5, 1e-7, 1e300, 2**53 + 1, -(2**63), 2**64, 0.1, 100.0)


@dataclass(frozen=True)
class Reference:
    """What one schedule is about: the pages as they are sent, and the table before.

    ``old``: the profiles of the table that is there before, None for no table.
    """

    mode: str
    pages: Sequence[Sequence[Mapping[str, Any]]]
    old: Sequence[Mapping[str, Any]] | None

    @property
    def profiles(self) -> list[Mapping[str, Any]]:
        """All of them, in their order."""
        return [profile for page in self.pages for profile in page]

    def base(self) -> dict[str, Value]:
        """Return the old rows that the mode keeps."""
        kept = self.old if self.mode in {"append", "merge"} else None
        return dict(map(row_of, kept or ()))

    def table(self, landed: Collection[int] | None = None) -> dict[str, Value]:
        """Return the table after ``landed`` pages (None: all); the later page wins."""
        rows = self.base()
        for index, page in enumerate(self.pages):
            if landed is None or index in landed:
                rows |= dict(map(row_of, page))
        return rows

    def versions(self, landed: Collection[int]) -> dict[str, set[Value]]:
        """Return what each id that comes several times in ``landed`` pages may hold."""
        found: dict[str, set[Value]] = {}
        for index in landed:
            for identity, value in map(row_of, self.pages[index]):
                found.setdefault(identity, set()).add(value)
        return {identity: values for identity, values in found.items() if len(values) > 1}


def reference_of(schedule: Schedule) -> Reference:
    """Return what ``schedule`` fetches, and what is there before."""
    chance = random.Random(f"profiles {schedule.seed}")
    profiles = [
        _profile(chance, f"{number:04d}-{chance.getrandbits(32):x}", "new")
        for number in range(schedule.rows)
    ]
    for _ in range(schedule.repeats):
        where, whose = chance.sample(range(schedule.rows), 2)
        profiles[where] = _profile(chance, profiles[whose]["$distinct_id"], "again")
    size = schedule.page_size
    pages = [profiles[start : start + size] for start in range(0, len(profiles), size)]
    return Reference(schedule.mode, pages, _old(chance, schedule, profiles))


def _old(
    chance: random.Random, schedule: Schedule, profiles: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]] | None:
    if schedule.old is None:
        return None
    shared = chance.sample([one["$distinct_id"] for one in profiles], schedule.old // 2)
    ids = list(dict.fromkeys(shared)) + [f"old-{n}" for n in range(schedule.old - len(shared))]
    return [_profile(chance, identity, "old") for identity in ids]


def _profile(chance: random.Random, identity: str, origin: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "origin": f"{origin}-{chance.getrandbits(40)}",
        "$name": chance.choice(_NAMES),
        "number": chance.choice(_NUMBERS),
        "list": [None, True, {"deep": [chance.random()]}],
    }
    if chance.random() < 0.8:
        seen = _START + timedelta(seconds=chance.randrange(10_000_000))
        properties["$last_seen"] = seen.isoformat()
    if chance.random() < 0.05:
        properties["long"] = "x" * 5000
    if chance.random() < 0.02:
        properties = {}
    return {"$distinct_id": identity, "$properties": properties}


def row_of(profile: Mapping[str, Any]) -> tuple[str, Value]:
    """Return the row that a profile is: its id, and what the row holds."""
    rest = {k: v for k, v in profile["$properties"].items() if k != "$last_seen"}
    return profile["$distinct_id"], (_text(rest), profile["$properties"].get("$last_seen"))


def stored(profile: Mapping[str, Any]) -> tuple[str, str, datetime | None]:
    """Return a profile as a row that somebody else has stored: spaced in another way than ours."""
    identity, (properties, last_seen) = row_of(profile)
    seen = None if last_seen is None else datetime.fromisoformat(last_seen)
    return identity, f" {properties} ", seen


def value_of(properties: str, last_seen: datetime | None) -> Value:
    """Return what a row of a table holds, in the form of :func:`row_of`."""
    return _text(json.loads(properties)), None if last_seen is None else last_seen.isoformat()


def _text(value: Any) -> str:
    # As text, because to Python 1, 1.0 and True are equal.
    return json.dumps(value, sort_keys=True)
