"""A typed way to write ``where``: ``(F("plan") == "pro") & (F("$last_seen") >= moment)``.

What comes out is Engage's own expression language, the small grammar that the profile query takes:
comparisons, ``in``, ``and``, ``or``, ``not``, ``+``, ``-``, and the casts ``defined``, ``number``,
``string``, ``list`` and ``datetime``. Texts are quoted and escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Literal, NoReturn, Union

from mixpanel_fetch.errors import ConfigError

_LAST_SECOND = 4_294_967_295
"""Greater numbers in ``datetime()`` are milliseconds, those below 1 are undefined."""


class Filter:
    """A condition. ``&``, ``|`` and ``~`` combine; ``str()`` gives the expression.

    Python's own ``and``, ``or`` and ``not`` cannot be used: they would keep one side only.
    """

    def __init__(self, text: str, kind: Literal["atom", "and", "or"] = "atom") -> None:
        self._text = text
        self._kind = kind

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Filter {self._text}>"

    def __and__(self, other: Filter) -> Filter:
        return self._joined("and", other)

    def __or__(self, other: Filter) -> Filter:
        return self._joined("or", other)

    def __invert__(self) -> Filter:
        return Filter(f"not ({self._text})")

    def __bool__(self) -> NoReturn:
        raise TypeError("combine filters with &, | and ~, each comparison in parentheses")

    def _joined(self, word: Literal["and", "or"], other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        sides = (self._as_part_of(word), other._as_part_of(word))
        return Filter(f" {word} ".join(sides), word)

    def _as_part_of(self, word: str) -> str:
        return self._text if self._kind in {"atom", word} else f"({self._text})"


Value = Union[str, bool, int, float, datetime, "Operand"]


class Operand:
    """Something with a value in each profile: a property, a cast of one, ``NOW``, a sum.

    Compared with text, a boolean, a number, an aware datetime (both sides then compare as
    instants, in whole seconds and free of time zones) or another operand. Raises ConfigError for
    what the language cannot say.
    """

    __hash__ = None  # type: ignore[assignment]  # == makes a Filter

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._text}>"

    def __eq__(self, other: Value) -> Filter:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Value) -> Filter:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: Value) -> Filter:
        return self._compared("<", other)

    def __le__(self, other: Value) -> Filter:
        return self._compared("<=", other)

    def __gt__(self, other: Value) -> Filter:
        return self._compared(">", other)

    def __ge__(self, other: Value) -> Filter:
        return self._compared(">=", other)

    def __add__(self, other: Operand | float | timedelta) -> Operand:
        return self._moved("+", other)

    def __sub__(self, other: Operand | float | timedelta) -> Operand:
        return self._moved("-", other)

    def __bool__(self) -> NoReturn:
        raise TypeError("compare it, or ask whether it is defined()")

    def is_in(self, values: Iterable[Value]) -> Filter:
        """Whether it equals one of ``values``."""
        each = [self == value for value in values]
        if not each:
            raise ConfigError("is_in() needs at least one value; nothing would match")
        return Filter(" or ".join(map(str, each)), "or" if len(each) > 1 else "atom")

    def contains(self, value: str | float) -> Filter:
        """Whether a text holds ``value``, or a list has it as an item."""
        return Filter(f"{_literal(value)} in {self._text}")

    def defined(self) -> Filter:
        """Whether the profile has it, and not as null."""
        return Filter(f"defined({self._text})")

    def number(self) -> Operand:
        """Its value as a number: texts that read as one, booleans, instants (Unix seconds)."""
        return Operand(f"number({self._text})")

    def string(self) -> Operand:
        """Its value as text."""
        return Operand(f"string({self._text})")

    def list(self) -> Operand:
        """Its value as a list; what is none becomes a list of one."""
        return Operand(f"list({self._text})")

    def datetime(self) -> Operand:
        """Its value as an instant. A date kept as text without a zone is read in the project's."""
        return Operand(f"datetime({self._text})")

    def _compared(self, operator: str, other: Value) -> Filter:
        if isinstance(other, datetime):
            left = self if self._text.startswith("datetime(") else self.datetime()
            return Filter(f"{left} {operator} datetime({_seconds(other, operator)})")
        return Filter(f"{self._text} {operator} {_literal(other)}")

    def _moved(self, sign: str, other: Operand | float | timedelta) -> Operand:
        if isinstance(other, timedelta):
            other = other.total_seconds()
        if isinstance(other, float) and other.is_integer():
            other = int(other)
        # In parentheses: the language knows no precedence but that of its sums.
        term = f"({other})" if isinstance(other, Operand) else _literal(other)
        return Operand(f"({self._text} {sign} {term})")


class F(Operand):
    """A property of a profile, by its name: ``F("$email")``."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigError("F() takes the name of a property")
        super().__init__(f"properties[{_quoted(name)}]")


class Behavior(Operand):
    """How often a profile did what ``behaviors`` names: ``Behavior("bought") > 0``."""

    def __init__(self, name: str) -> None:
        super().__init__(f"behaviors[{_quoted(name)}]")


NOW = Operand("NOW")
"""The time of the query in Unix seconds, a number: ``F("expires").datetime().number() < NOW``."""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(value: object) -> str:
    if isinstance(value, Operand):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return repr(value)
    raise ConfigError(f"a filter cannot compare with {value!r}; give text, a number or a datetime")


def _seconds(moment: datetime, operator: str) -> int:
    """Return Unix seconds that compare with whole seconds as ``moment`` itself would."""
    if moment.tzinfo is None:
        raise ConfigError("the datetime in a filter needs a time zone, such as timezone.utc")
    whole = moment.astimezone(timezone.utc).replace(microsecond=0)
    seconds = round((whole - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
    if moment.microsecond:
        if operator in {"==", "!="}:
            raise ConfigError("instants compare in whole seconds; leave out the fraction")
        seconds += operator in {">=", "<"}
    if not 1 <= seconds <= _LAST_SECOND:
        raise ConfigError("a filter can compare with instants from 1970 to 2106 only")
    return seconds
