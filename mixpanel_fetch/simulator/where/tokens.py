"""Text to tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["number", "text", "name", "symbol", "end"]

_SPACE = re.compile(r"\s*")
# The minus belongs to the number: that is why `NOW -604800` is a syntax error (facts sheet 6.9).
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SYMBOL = re.compile(r"==|!=|>=|<=|[><+\-()\[\],]")
_TEXT = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_ESCAPE = re.compile(r'\\(["\\])')


class WhereSyntaxError(ValueError):
    """The expression is not in the engage grammar; the message says where it goes wrong."""


@dataclass(frozen=True)
class Token:
    """One token: `text` is its value, unescaped for texts; `position` counts characters."""

    kind: TokenKind
    text: str
    position: int


_PATTERNS: tuple[tuple[TokenKind, re.Pattern[str]], ...] = (
    ("number", _NUMBER),
    ("text", _TEXT),
    ("name", _NAME),
    ("symbol", _SYMBOL),
)


def quote(text: str) -> str:
    """Write `text` as a literal of the language (facts sheet 6.5: only `"` and `\\` escape)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def tokenize(source: str) -> list[Token]:
    """Split an expression into tokens, an `end` token last.

    Raises WhereSyntaxError at the first character that starts no token.
    """
    tokens: list[Token] = []
    position = _skip_space(source, 0)
    while position < len(source):
        token, position = _next_token(source, position)
        tokens.append(token)
        position = _skip_space(source, position)
    tokens.append(Token("end", "", position))
    return tokens


def _next_token(source: str, position: int) -> tuple[Token, int]:
    for kind, pattern in _PATTERNS:
        match = pattern.match(source, position)
        if match:
            text = match.group()
            if kind == "text":
                text = _ESCAPE.sub(r"\1", text[1:-1])
            return Token(kind, text, position), match.end()
    raise WhereSyntaxError(f"unexpected {source[position]!r} at character {position}")


def _skip_space(source: str, position: int) -> int:
    match = _SPACE.match(source, position)
    return match.end() if match else position
