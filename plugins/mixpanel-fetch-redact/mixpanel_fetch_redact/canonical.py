"""One text for one value, however its JSON is spelled: what a hash is made of.

A string is its characters. A number is its decimal digits without exponent and without zeros that
say nothing: ``1.50`` and ``15e-1`` are ``1.5``, ``1e3`` is ``1000``, ``-0.0`` is ``0``. It is
exact, whatever its size; with more than 400 zeros beside its digits, it is written ``12e3000``.
``true`` and ``false`` are those words. An object is JSON without blanks, its names in the order of
their code points, its texts with no more escapes than JSON demands; of members that share a name
the last one counts. A list is JSON without blanks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from mixpanel_fetch.batch import without_surrogates

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)
_MOST_ZEROS = 400
_LONGEST_EXPONENT = 4000  # int() of more digits than 4300 is refused by Python
_text = msgspec.json.Decoder(str).decode


class Piece(str):
    """JSON that is ready, told apart from a text that is yet to be written as JSON."""

    __slots__ = ()


def canonical(text: bytes) -> bytes:
    """Return the canonical form of the JSON value ``text``, in UTF-8."""
    first = text[:1]
    if first == b'"':
        return text[1:-1] if b"\\" not in text else encoded(_text(text))
    if first in b"{[":
        return encoded("".join(_pieces(_loads(text))))
    if first in b"tfn":
        return text
    if text.isdigit() and text[-1:] != b"0":  # most numbers are as they should be
        return text
    return canonical_number(text.decode()).encode()


def encoded(text: str) -> bytes:
    """Return ``text`` in UTF-8, with U+FFFD for lone surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_surrogates(text).encode()


def canonical_number(text: str) -> str:
    """Return the one spelling of the JSON number ``text``."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(match[4] or "") > _LONGEST_EXPONENT:
        return text
    sign, whole, fraction, exponent = (part or "" for part in match.groups())
    digits = (whole + fraction).lstrip("0")
    shown = digits.rstrip("0")
    if not shown:
        return "0"
    scale = int(exponent or 0) - len(fraction) + len(digits) - len(shown)
    if 0 <= scale <= _MOST_ZEROS:
        return f"{sign}{shown}{'0' * scale}"
    if 0 < len(shown) + scale < len(shown):
        return f"{sign}{shown[:scale]}.{shown[scale:]}"
    if -_MOST_ZEROS <= len(shown) + scale <= 0:
        return f"{sign}0.{'0' * -(len(shown) + scale)}{shown}"
    return f"{sign}{shown}e{scale}"


def _loads(text: bytes) -> Any:
    return json.loads(text, parse_int=_number_piece, parse_float=_number_piece)


def _number_piece(text: str) -> Piece:
    return Piece(canonical_number(text))


def _pieces(value: Any) -> Iterator[str]:
    """Yield the canonical JSON of ``value``. No recursion: values may be nested deeply."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Piece):
            yield one
        elif isinstance(one, dict):
            todo += reversed(_of_object(one))
        elif isinstance(one, list):
            todo += reversed(_of_list(one))
        else:
            yield json.dumps(one, ensure_ascii=False)


def _of_object(value: dict[str, Any]) -> list[Any]:
    parts: list[Any] = [Piece("{")]
    for name in sorted(value):
        parts += [name, Piece(":"), value[name], Piece(",")]
    return [*parts[: -1 if value else None], Piece("}")]


def _of_list(value: list[Any]) -> list[Any]:
    parts: list[Any] = [Piece("[")]
    for item in value:
        parts += [item, Piece(",")]
    return [*parts[: -1 if value else None], Piece("]")]
