"""The parts an expression is made of; each knows how to evaluate itself."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from mixpanel_fetch.simulator.where import values


@dataclass(frozen=True)
class Scope:
    """What an expression is evaluated against: one profile at one moment.

    `now` is in Unix seconds, `utc_offset` the project's zone in seconds east of UTC; `behavior`
    gives how often the profile showed a named behavior.
    """

    properties: Mapping[str, object]
    behavior: Callable[[str], int]
    now: float
    utc_offset: float = 0.0


class Expression(Protocol):
    """Anything that has a value in a scope."""

    def evaluate(self, scope: Scope) -> object:
        """Give the value in `scope`, UNDEFINED where there is none."""


@dataclass(frozen=True)
class Constant:
    """A number, text or boolean as written."""

    value: object

    def evaluate(self, scope: Scope) -> object:  # noqa: ARG002
        """Give the value."""
        return self.value


@dataclass(frozen=True)
class Now:
    """`NOW`: the current time in Unix seconds."""

    def evaluate(self, scope: Scope) -> object:
        """Give the scope's time in whole seconds."""
        return int(scope.now)


@dataclass(frozen=True)
class Property:
    """`properties["name"]`, or its other form `user["name"]`."""

    name: str

    def evaluate(self, scope: Scope) -> object:
        """Give the property's value; null counts as undefined."""
        value = scope.properties.get(self.name)
        return values.UNDEFINED if value is None else value


@dataclass(frozen=True)
class Behavior:
    """`behaviors["name"]`: how often, a number."""

    name: str

    def evaluate(self, scope: Scope) -> object:
        """Give the count."""
        return scope.behavior(self.name)


@dataclass(frozen=True)
class ListOf:
    """`[a, b]`."""

    items: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> object:
        """Give the list of the items' values."""
        return [item.evaluate(scope) for item in self.items]


@dataclass(frozen=True)
class Cast:
    """`defined(x)`, `number(x)`, `string(x)`, `list(x)`, `datetime(x)`."""

    name: str
    operand: Expression

    def evaluate(self, scope: Scope) -> object:
        """Give the cast value, UNDEFINED where the cast makes no sense."""
        value = self.operand.evaluate(scope)
        if self.name == "datetime":
            return values.to_instant(value, scope.utc_offset)
        return CASTS[self.name](value)


@dataclass(frozen=True)
class Sum:
    """A first term and then terms to add or subtract, from the left."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]

    def evaluate(self, scope: Scope) -> object:
        """Give the sum."""
        total = self.first.evaluate(scope)
        for sign, term in self.rest:
            step = values.add if sign == "+" else values.subtract
            total = step(total, term.evaluate(scope))
        return total


@dataclass(frozen=True)
class Comparison:
    """`left OPERATOR right`, with OPERATOR one of COMPARISONS."""

    operator: str
    left: Expression
    right: Expression

    def evaluate(self, scope: Scope) -> object:
        """Tell whether it holds."""
        left, right = self.left.evaluate(scope), self.right.evaluate(scope)
        return COMPARISONS[self.operator](left, right)


@dataclass(frozen=True)
class Not:
    """`not x`."""

    operand: Expression

    def evaluate(self, scope: Scope) -> object:
        """Tell whether the operand is not true."""
        return not values.truth(self.operand.evaluate(scope))


@dataclass(frozen=True)
class AllOf:
    """`a and b and c`."""

    operands: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> object:
        """Tell whether every operand is true."""
        return all(values.truth(operand.evaluate(scope)) for operand in self.operands)


@dataclass(frozen=True)
class AnyOf:
    """`a or b or c`."""

    operands: tuple[Expression, ...]

    def evaluate(self, scope: Scope) -> object:
        """Tell whether some operand is true."""
        return any(values.truth(operand.evaluate(scope)) for operand in self.operands)


def _is_defined(value: object) -> bool:
    return values.kind_of(value) != "undefined"


def _is_less(left: object, right: object) -> bool:
    return values.compare(left, right, operator.lt)


def _is_at_most(left: object, right: object) -> bool:
    return values.compare(left, right, operator.le)


def _is_greater(left: object, right: object) -> bool:
    return values.compare(left, right, operator.gt)


def _is_at_least(left: object, right: object) -> bool:
    return values.compare(left, right, operator.ge)


def _differs(left: object, right: object) -> bool:
    return not values.equal(left, right)


CASTS: Mapping[str, Callable[[object], object]] = {
    "defined": _is_defined,
    "number": values.to_number,
    "string": values.to_text,
    "list": values.to_list,
}

COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "==": values.equal,
    "!=": _differs,
    "<": _is_less,
    "<=": _is_at_most,
    ">": _is_greater,
    ">=": _is_at_least,
    "in": values.contains,
}
