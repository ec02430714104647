r"""The transform ``mask``: what a value looks like stays, what it says goes.

- An e-mail address: the first character of what is before the ``@``, and of each name in the
  domain; a last name of two or three letters stays: ``jane.doe@example.com`` is
  ``j***@e***.com``.
- Digits with at most blanks, ``+``, ``-``, ``/``, ``.``, brackets between them, and numbers: each
  digit is masked but the last two, the rest stays: ``+49 170 123-4567`` is ``+** *** ***-**67``.
- Any other text: its first character: ``Jane Doe`` is ``J***``. Three masks always: its length
  does not show.
- ``true``, ``false``, objects and lists: ``***``. The path ``address.*`` masks what is in one.

Never more than a third of a name, a text or the digits is shown: ``Ann`` is ``***``. A null and an
empty text stay. What is masked is a JSON string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
from marshmallow import Schema, ValidationError, fields, validate

from mixpanel_fetch.protocols import Transform
from mixpanel_fetch_redact.columns import refuse_id, refuse_last_seen
from mixpanel_fetch_redact.paths import folding, parse_paths, tree_of
from mixpanel_fetch_redact.walking import Raw, Redaction, Replace, encode

_EXAMPLE = "mask:$email,$phone"
_EMAIL = re.compile(r"([^@\s]+)@([^@\s]+)")
_DIGITS = re.compile(r"[+()\[\]\s./-]*(?:\d[+()\[\]\s./-]*){4,}", re.ASCII)
_DIGIT = re.compile(r"\d", re.ASCII)
_ENDING = re.compile(r"[a-z]{2,3}", re.ASCII | re.IGNORECASE)
_text = msgspec.json.Decoder(str).decode


def _one_character(text: str) -> None:
    if len(text) != 1 or not text.isprintable() or text.isspace():
        raise ValidationError("Must be one printable character.")


class MaskOptions(Schema):
    """``mask_char``: the mask, ``*``. ``mask_keep``: how many first characters are shown, 1.
    ``mask_digits``: how many last digits, 2. ``match_case``: names match in their own case only.
    """

    mask_char = fields.String(load_default="*", validate=_one_character)
    mask_keep = fields.Integer(load_default=1, validate=validate.Range(0, 4))
    mask_digits = fields.Integer(load_default=2, validate=validate.Range(0, 4))
    match_case = fields.Boolean(load_default=False)


@dataclass(frozen=True)
class Mask:
    """How values are masked; see :class:`MaskOptions`."""

    char: str = "*"
    keep: int = 1
    digits: int = 2

    def value(self, text: bytes) -> Raw:
        """Return the JSON value ``text``, masked, as JSON."""
        if text in {b"null", b'""'}:
            return Raw(text)
        if text[:1] == b'"':
            return Raw(encode(self.text(_text(text))))
        if text[:1] in b"-0123456789":
            return Raw(encode(self._digits(text.decode())))
        return Raw(encode(self.char * 3))

    def text(self, text: str) -> str:
        """Return ``text`` masked as the kind that it looks to be."""
        address = _EMAIL.fullmatch(text)
        if address is not None:
            return f"{self._part(address[1])}@{self._domain(address[2])}"
        if _DIGITS.fullmatch(text):
            return self._digits(text)
        return self._part(text.strip())

    def _domain(self, domain: str) -> str:
        *names, last = domain.split(".")
        shown = last if names and _ENDING.fullmatch(last) else self._part(last)
        return ".".join([*map(self._part, names), shown])

    def _digits(self, text: str) -> str:
        count = len(_DIGIT.findall(text))
        masked = count - self.digits if count > 3 * self.digits else count
        return _DIGIT.sub(self.char.replace("\\", r"\\"), text, count=masked)

    def _part(self, text: str) -> str:
        shown = text[: self.keep] if len(text) > 3 * self.keep else ""
        return shown + self.char * 3


def make_mask(
    argument: str | None,
    *,
    mask_char: str = "*",
    mask_keep: int = 1,
    mask_digits: int = 2,
    match_case: bool = False,
) -> Transform:
    """Return the transform ``mask``. Raises ConfigError for a bad argument."""
    paths = parse_paths(argument, _EXAMPLE)
    refuse_id("mask", paths)
    refuse_last_seen("mask", paths)
    mask = Mask(mask_char, mask_keep, mask_digits)
    return Redaction(Replace(tree_of(paths, folding(match_case)), mask.value))
