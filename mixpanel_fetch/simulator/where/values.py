"""The values of the engage expression language and what its operators do to them.

Operands that do not fit give UNDEFINED, never an error: a comparison with it is false.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

_MAX_UNIX_SECONDS = 4_294_967_295
_DATE_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?"
    r"(?:(Z)|([+-])(\d\d):?(\d\d))?"
)


class Undefined(Enum):
    """The type of UNDEFINED, what a missing property is worth."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED


@dataclass(frozen=True, order=True)
class Instant:
    """A point in time in whole Unix seconds (facts sheet 6.8)."""

    seconds: int


def kind_of(value: object) -> str:
    """Name the type of a value, so that `true` is no number and texts are not lists."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if value is None:
        return "undefined"
    return {str: "text", list: "list", dict: "object", Instant: "instant"}.get(
        type(value), "undefined"
    )


def truth(value: object) -> bool:
    """Tell whether a filter that comes to `value` keeps the profile."""
    return value is not UNDEFINED and bool(value)


def equal(left: object, right: object) -> bool:
    """Compare two values; values of different types differ, undefined ones equal nothing."""
    kind = kind_of(left)
    return kind != "undefined" and kind == kind_of(right) and left == right


def compare(left: object, right: object, holds: Callable[[Any, Any], bool]) -> bool:
    """Apply an ordering to two numbers, two texts or two instants; anything else is false."""
    kind = kind_of(left)
    if kind not in {"number", "text", "instant"} or kind != kind_of(right):
        return False
    return holds(left, right)


def contains(needle: object, haystack: object) -> bool:
    """`in`: substring of a text, or member of a list (facts sheet 6.4)."""
    if isinstance(haystack, str):
        return isinstance(needle, str) and needle in haystack
    if isinstance(haystack, list):
        return any(equal(needle, item) for item in haystack)
    return False


def add(left: object, right: object) -> object:
    """`+` over numbers, texts, and an instant with a number of seconds."""
    kinds = (kind_of(left), kind_of(right))
    if kinds == ("number", "number"):
        return _arithmetic(left, right, 1)
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if kinds == ("instant", "number"):
        return _shifted(left, right, 1)
    return UNDEFINED


def subtract(left: object, right: object) -> object:
    """`-` over numbers, two instants, and an instant with a number of seconds."""
    kinds = (kind_of(left), kind_of(right))
    if kinds == ("number", "number"):
        return _arithmetic(left, right, -1)
    if isinstance(left, Instant) and isinstance(right, Instant):
        return left.seconds - right.seconds
    if kinds == ("instant", "number"):
        return _shifted(left, right, -1)
    return UNDEFINED


def to_number(value: object) -> object:
    """`number()`: numbers, texts that read as one, booleans and instants."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Instant):
        return value.seconds
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return UNDEFINED
    return value if kind_of(value) == "number" else UNDEFINED


def to_text(value: object) -> object:
    """`string()`: texts as they are, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Instant):
        return str(value.seconds)
    return UNDEFINED if kind_of(value) == "undefined" else json.dumps(value)


def to_list(value: object) -> object:
    """`list()`: lists as they are, another value as a list of one."""
    if kind_of(value) == "undefined":
        return UNDEFINED
    return value if isinstance(value, list) else [value]


def to_instant(value: object, utc_offset: float) -> object:
    """`datetime()` of a date text or a number.

    A number from 1 to 4294967295 is Unix seconds, a larger one milliseconds, any other undefined
    (facts sheet 6.7). A text without a zone is read in the project's, `utc_offset` seconds east.
    """
    if isinstance(value, Instant):
        return value
    if isinstance(value, str):
        return _instant_of_text(value, utc_offset)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 1:
        scale = 1 if value <= _MAX_UNIX_SECONDS else 1000
        return _whole_seconds(value / scale if isinstance(value, float) else value // scale)
    return UNDEFINED


def _instant_of_text(text: str, utc_offset: float) -> object:
    match = _DATE_TEXT.fullmatch(text)
    if match is None:
        return UNDEFINED
    *clock, zulu, sign, zone_hours, zone_minutes = match.groups()
    try:
        moment = datetime(*(int(part or 0) for part in clock))  # type: ignore[arg-type]
    except ValueError:
        return UNDEFINED
    if sign:
        utc_offset = (int(zone_hours) * 60 + int(zone_minutes)) * (-60 if sign == "-" else 60)
    elif zulu:
        utc_offset = 0
    return Instant(calendar.timegm(moment.timetuple()) - int(utc_offset))


def _whole_seconds(seconds: float) -> object:
    try:
        return Instant(int(seconds))
    except (OverflowError, ValueError):  # infinity and NaN are no instants
        return UNDEFINED


def _arithmetic(left: object, right: object, sign: int) -> object:
    try:
        return left + sign * right  # type: ignore[operator]
    except OverflowError:  # an integer too large to meet a float
        return UNDEFINED


def _shifted(moment: object, seconds: object, sign: int) -> object:
    shift = _whole_seconds(seconds)  # type: ignore[arg-type]
    if isinstance(moment, Instant) and isinstance(shift, Instant):
        return Instant(moment.seconds + sign * shift.seconds)
    return UNDEFINED
