"""What PostgreSQL's jsonb refuses and JSON allows, replaced so that it can be seen.

A NUL and a lone surrogate become U+FFFD. A number outside of ``numeric`` becomes the text of the
number, so that nothing of it is lost. What is nested too deeply becomes null.
"""

from __future__ import annotations

import re

NUL = b"\\u0000"
REPLACEMENT = "\ufffd"
_DEEPEST = 500
"""Levels that are kept where the server ran out of stack: its default takes 14,000."""

_DIGITS_BEFORE, _DIGITS_AFTER = 131_072, 16_383
"""What ``numeric`` holds before and after the decimal point (PostgreSQL's manual, 8.1.2)."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_VALUE = re.compile(
    _STRING + rb"|(?P<number>-?(?P<whole>\d+)(?:\.(?P<part>\d+))?(?:[eE](?P<power>[+-]?\d+))?)",
    re.DOTALL,
)
_BRACKET = re.compile(_STRING + rb"|(?P<opens>[\[{])|(?P<closes>[\]}])", re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<bad>u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000)|.)",
    re.DOTALL,
)


def mended_id(text: str) -> str:
    """Return an id with U+FFFD for each NUL and lone surrogate."""
    text = text.replace("\0", REPLACEMENT)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def mended_json(text: bytes, *, flat: bool = False) -> tuple[bytes, int]:
    """Return JSON that jsonb takes, and how many values were replaced in it.

    ``flat``: replace what is nested too deeply, too.
    """
    repaired = 0
    if flat:
        text, repaired = _flattened(text)
    pieces: list[bytes] = []
    done = 0
    for match in _VALUE.finditer(text):
        better = _better_number(match) if match["number"] else _better_string(match.group())
        if better != match.group():
            pieces += [text[done : match.start()], better]
            done = match.end()
            repaired += 1
    return b"".join([*pieces, text[done:]]), repaired


def _flattened(text: bytes) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    done = start = depth = repaired = 0
    for match in _BRACKET.finditer(text):
        if match["opens"]:
            depth += 1
            start = match.start() if depth == _DEEPEST + 1 else start
        elif match["closes"]:
            depth -= 1
            if depth == _DEEPEST:
                pieces += [text[done:start], b"null"]
                done = match.end()
                repaired += 1
    return b"".join([*pieces, text[done:]]), repaired


def _better_string(token: bytes) -> bytes:
    return _ESCAPE.sub(_better_escape, token) if b"\\u" in token else token


def _better_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match["bad"] else match.group()


def _better_number(match: re.Match[bytes]) -> bytes:
    token = match.group()
    if match["power"] is None and len(token) <= _DIGITS_AFTER:
        return token
    power = match["power"] or b"0"
    shift = int(power) if len(power) <= len(str(-_DIGITS_BEFORE)) else None
    part = match["part"] or b""
    digits = (match["whole"] + part).lstrip(b"0")
    if shift is None:
        return b'"' + token + b'"'
    before = len(digits) - len(part) + shift if digits else 0
    if before > _DIGITS_BEFORE or len(part) - shift > _DIGITS_AFTER:
        return b'"' + token + b'"'
    return token
