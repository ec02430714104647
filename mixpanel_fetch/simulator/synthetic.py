"""Made-up profiles that read well: any number of them in constant memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

from mixpanel_fetch.simulator import vocabulary as words

PROFILE_KINDS = ("narrow", "wide")

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


class SyntheticProfiles(Sequence[Mapping[str, Any]]):
    """`count` profiles, each computed from its index alone: the same on every machine.

    `kind`: "narrow" has 21 properties, about 650 bytes of JSON; "wide" has 73, about 1,900.
    Another `seed` gives other people. Raises ValueError for a negative count or unknown kind.
    """

    def __init__(self, count: int, kind: str = "narrow", seed: int = 1) -> None:
        if count < 0:
            raise ValueError("the count of profiles must not be negative")
        if kind not in PROFILE_KINDS:
            raise ValueError(f"kind must be one of {', '.join(PROFILE_KINDS)}")
        self.kind = kind
        self.seed = seed
        self._count = count
        self._origin = _mix(seed)

    def __repr__(self) -> str:
        return f"SyntheticProfiles({self._count}, kind={self.kind!r}, seed={self.seed})"

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._count))]
        profile: Mapping[str, Any] = json.loads(self.encoded(index))
        return profile

    def distinct_id(self, index: int) -> str:
        """Give the id of the profile at `index`: unique, in the form of a UUID."""
        first = _mix(self._origin + self._checked(index) * _STEP)
        return _as_uuid(first, _mix(first))

    def encoded(self, index: int) -> bytes:
        """Give the profile at `index` as the JSON text that the server sends."""
        index = self._checked(index)
        first = _mix(self._origin + index * _STEP)
        dice = _mix(first)
        given = words.FIRST_NAMES[dice & 31]
        family = words.LAST_NAMES[dice >> 5 & 31]
        plan, seats, price, plan_json = words.PLANS[dice >> 10 & 63]
        seats += (dice >> 16 & 63) * seats >> 5
        age = words.AGES[dice >> 22 & 1023]
        idle = min(words.IDLE_DAYS[dice >> 32 & 255], age)
        more = _mix(dice)
        worth = price * seats * (age // 30)
        text = (
            f'{{"$distinct_id":"{_as_uuid(first, dice)}","$properties":{{'
            f'"$name":"{given} {family}","$first_name":"{given}","$last_name":"{family}",'
            f'"$email":"{given}.{family}.{index}@example.com",'
            f"{words.PLACES[more & 31]},{words.AGENTS[more >> 5 & 15]},"
            f'"$created":"{words.DAYS[age]}T{words.TIMES[dice >> 40 & 1023]}",'
            f'"$last_seen":"{words.DAYS[idle]}T{words.TIMES[more >> 9 & 1023]}",'
            f'"plan":"{plan}",{plan_json},"seats":{seats},'
            f'"lifetime_value":{worth}.{more >> 19 & 7 if worth else 0},'
            f'"sessions_30d":{(32 - min(idle, 32)) * (1 + (more >> 22 & 7))},'
            f'"newsletter":{words.BOOLEANS[more >> 25 & 3]},{words.TAGS[more >> 27 & 7]},'
            f'"company":{{{words.COMPANIES[more >> 30 & 15]},"employees":{seats * 4},'
            f'"industry":"{words.INDUSTRIES[more >> 34 & 7]}"}}'
        )
        if self.kind == "wide":
            text += _feature_properties(more, idle)
        return (text + "}}").encode("ascii")

    def _checked(self, index: int) -> int:
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(f"profile {index} of {self._count}")
        return index


def _feature_properties(dice: int, idle: int) -> str:
    parts = []
    for feature in words.FEATURES:
        dice = _mix(dice)
        views = (dice & 255) >> (idle >> 4)
        parts.append(
            f',"{feature}_views_7d":{views},"{feature}_views_30d":{views + (dice >> 8 & 127)},'
            f'"{feature}_enabled":{words.BOOLEANS[dice >> 15 & 3]},'
            f'"{feature}_first_used":"{words.DAYS[idle + (dice >> 17 & 255)]}"'
        )
    return "".join(parts)


def _as_uuid(first: int, second: int) -> str:
    # Unique, since _mix is a bijection: two indices never share the first 16 digits.
    digits = f"{first:016x}{second:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _mix(number: int) -> int:
    """Scramble 64 bits, one to one (the finalizer of SplitMix64)."""
    number &= _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
