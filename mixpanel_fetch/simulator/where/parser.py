"""Tokens to an expression, by recursive descent.

any      := all ("or" all)*
all      := negation ("and" negation)*
negation := "not" negation | relation
relation := sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") sum]
sum      := atom (("+" | "-") atom)*
atom     := number | text | "true" | "false" | "NOW" | "(" any ")" | "[" [any ("," any)*] "]"
          | ("properties" | "user" | "behaviors") "[" text "]" | cast "(" any ")"
"""

from __future__ import annotations

from mixpanel_fetch.simulator.where.nodes import (
    CASTS,
    COMPARISONS,
    AllOf,
    AnyOf,
    Behavior,
    Cast,
    Comparison,
    Constant,
    Expression,
    ListOf,
    Not,
    Now,
    Property,
    Sum,
)
from mixpanel_fetch.simulator.where.tokens import Token, WhereSyntaxError, tokenize

# Each level costs a handful of Python frames; far below the interpreter's own limit.
MAX_DEPTH = 50

_WORDS: dict[str, Expression] = {
    "true": Constant(value=True),
    "false": Constant(value=False),
    "NOW": Now(),
}
_CASTS = frozenset({*CASTS, "datetime"})


def parse(source: str) -> Expression:
    """Parse an engage expression.

    Raises WhereSyntaxError if it is not in the grammar or nested more than MAX_DEPTH deep.
    """
    parser = _Parser(tokenize(source))
    expression = parser.any_of()
    parser.expect_end()
    return expression


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def any_of(self) -> Expression:
        operands = [self._all_of()]
        while self._accept("name", "or"):
            operands.append(self._all_of())
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected()

    def _all_of(self) -> Expression:
        operands = [self._negation()]
        while self._accept("name", "and"):
            operands.append(self._negation())
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _negation(self) -> Expression:
        if not self._accept("name", "not"):
            return self._relation()
        self._descend()
        operand = self._negation()
        self._depth -= 1
        return Not(operand)

    def _relation(self) -> Expression:
        left = self._sum()
        token = self._token
        if token.kind in {"symbol", "name"} and token.text in COMPARISONS:
            self._next += 1
            return Comparison(token.text, left, self._sum())
        return left

    def _sum(self) -> Expression:
        first = self._atom()
        rest: list[tuple[str, Expression]] = []
        while self._token.kind == "symbol" and self._token.text in {"+", "-"}:
            sign = self._token.text
            self._next += 1
            rest.append((sign, self._atom()))
        return Sum(first, tuple(rest)) if rest else first

    def _atom(self) -> Expression:
        token = self._token
        self._next += 1
        if token.kind == "number":
            return Constant(_number(token))
        if token.kind == "text":
            return Constant(token.text)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "symbol" and token.text == "(":
            return self._parenthesized(after_opening=True)
        if token.kind == "symbol" and token.text == "[":
            return self._list()
        self._next -= 1
        raise self._unexpected()

    def _named(self, token: Token) -> Expression:
        if token.text in _WORDS:
            return _WORDS[token.text]
        if token.text in _CASTS:
            return Cast(token.text, self._parenthesized(after_opening=False))
        if token.text in {"properties", "user"}:
            return Property(self._subscript())
        if token.text == "behaviors":
            return Behavior(self._subscript())
        raise WhereSyntaxError(f"unknown name {token.text!r} at character {token.position}")

    def _parenthesized(self, *, after_opening: bool) -> Expression:
        if not after_opening:
            self._expect("(")
        self._descend()
        inner = self.any_of()
        self._expect(")")
        self._depth -= 1
        return inner

    def _list(self) -> Expression:
        items: list[Expression] = []
        self._descend()
        while not self._accept("symbol", "]"):
            if items:
                self._expect(",")
            items.append(self.any_of())
        self._depth -= 1
        return ListOf(tuple(items))

    def _subscript(self) -> str:
        self._expect("[")
        token = self._token
        if token.kind != "text":
            raise self._unexpected()
        self._next += 1
        self._expect("]")
        return token.text

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _accept(self, kind: str, text: str) -> bool:
        found = self._token.kind == kind and self._token.text == text
        self._next += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._accept("symbol", symbol):
            raise self._unexpected()

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WhereSyntaxError(f"nested more than {MAX_DEPTH} deep")

    def _unexpected(self) -> WhereSyntaxError:
        token = self._token
        what = "end of expression" if token.kind == "end" else repr(token.text)
        return WhereSyntaxError(f"unexpected {what} at character {token.position}")


def _number(token: Token) -> int | float:
    try:
        return int(token.text)
    except ValueError:
        return float(token.text)
