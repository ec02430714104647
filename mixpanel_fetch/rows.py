"""The rows of a page's answer as a Batch, each value with the bytes that Mixpanel sent.

A row's ``$last_seen`` becomes a column. Taking it out of each row's object member by member, and
writing the object again, costs more than everything else that is done to a page; so it is cut out
of the page's text, all rows at once, where that text can be told to hold no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import UNSET

from mixpanel_fetch.batch import Batch, encode_raw, instant_of, parse_instant
from mixpanel_fetch.model import Rejection

Raw = msgspec.Raw
ABSENT = Raw(b"")


class Row(msgspec.Struct, gc=False):
    """A row of the promised shape, and nothing read of it yet."""

    distinct_id: Raw = msgspec.field(name="$distinct_id", default=ABSENT)
    properties: Raw = msgspec.field(name="$properties", default=ABSENT)


class _Seen(msgspec.Struct, gc=False):
    last_seen: Any = msgspec.field(name="$last_seen", default=UNSET)


class RowSeen(msgspec.Struct, gc=False):
    """A row of the promised shape, of which only the columns were read."""

    distinct_id: Any = msgspec.field(name="$distinct_id", default=None)
    properties: _Seen | None = msgspec.field(name="$properties", default=None)


class _Properties(msgspec.Struct, gc=False):
    properties: Raw = msgspec.field(name="$properties")


class _Rows(msgspec.Struct):
    results: list[Row]


class _AllProperties(msgspec.Struct):
    results: list[_Properties]


_all_properties = msgspec.json.Decoder(_AllProperties).decode
_rows = msgspec.json.Decoder(_Rows).decode
_row = msgspec.json.Decoder(Row).decode
_text = msgspec.json.Decoder(str).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode

_KEY = b'"$last_seen"'
# What follows the key, with the comma after it: as Mixpanel writes it, to the second.
_VALUE = re.compile(rb'\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"\s*(?:,\s*|(?=(})))')
# A character of the key in disguise.
_DISGUISED = re.compile(rb"\\u00(?:24|5[fF]|6[15cCeE]|7[34])")
_ANY_DIGIT = bytes.maketrans(b"123456789", b"000000000")
_NO_PROPERTIES = (b"", b"null")
_UNREAD: Any = object()
_from_iso = datetime.fromisoformat


class _Cut(NamedTuple):
    """An answer without its ``$last_seen``, and what each row's column holds."""

    text: bytes
    instants: list[datetime | None]


@dataclass(frozen=True)
class UsualRows:
    """The rows of an answer, all of them objects: the answer, and what was read of each row."""

    body: bytes
    seen: Sequence[RowSeen]

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:
        """Return the usable rows of page ``index``, and those left out."""
        ids = [row.distinct_id if isinstance(row.distinct_id, str) else None for row in self.seen]
        values = [row.properties.last_seen if row.properties else UNSET for row in self.seen]
        pieces = _around_last_seen(self.body, values)
        alike = None if pieces is None else _cut_alike(pieces, values)
        if alike is not None and None not in ids:  # most pages; each row has its properties, too
            found = _all_properties(alike.text).results
            properties = [bytes(row.properties) for row in found]
            return Batch(cast("list[str]", ids), properties, alike.instants), []
        cut = alike or (
            _Cut(self.body, [_UNREAD] * len(ids)) if pieces is None else _cut_each(pieces, values)
        )
        rejected: list[Rejection] = []
        rows = zip(range(len(ids)), _rows(cut.text).results, ids, cut.instants, strict=True)
        return _batch(rows, index, rejected), rejected


@dataclass(frozen=True)
class OddRows:
    """The rows of an answer, some of which are no objects."""

    rows: Sequence[Raw]

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:
        """Return the usable rows of page ``index``, and those left out."""
        rejected: list[Rejection] = []
        objects = []
        for position, raw in enumerate(self.rows):
            try:
                objects.append((position, _row(raw), None, _UNREAD))
            except msgspec.ValidationError:
                rejected.append(Rejection(index, position, "the row is not an object"))
        batch = _batch(objects, index, rejected)
        rejected.sort(key=lambda one: one.position)
        return batch, rejected


def _around_last_seen(body: bytes, values: Sequence[Any]) -> list[bytes] | None:
    """Return the pieces of ``body`` around each row's ``$last_seen``.

    ``values``: what each row has there, UNSET for nothing. None unless the text holds just those of
    the rows themselves: as no key is spelled with escapes, each of them is found; and if nothing
    else is found, none is nested, repeated, or part of a string.
    """
    if _DISGUISED.search(body):
        return None
    pieces = body.split(_KEY)
    return pieces if len(pieces) - 1 == len(values) - values.count(UNSET) else None


def _cut_alike(pieces: Sequence[bytes], values: Sequence[Any]) -> _Cut | None:
    """Return the text without its ``$last_seen``, and the instant of each row.

    None unless each row has one, and all are written in the same way but for their digits. Most
    pages are like that, and looking at each piece takes longer.
    """
    first, *rest = pieces
    match = _VALUE.match(rest[0]) if rest and len(rest) == len(values) else None
    if match is None or match[2]:
        return None
    length = match.end()
    heads = b"".join([piece[:length] for piece in rest])
    if heads.translate(_ANY_DIGIT) != match[0].translate(_ANY_DIGIT) * len(rest):
        return None
    try:
        instants: list[datetime | None] = [_from_iso(text + "+00:00") for text in values]
    except ValueError:
        return None
    return _Cut(b"".join([first, *[piece[length:] for piece in rest]]), instants)


def _cut_each(pieces: Sequence[bytes], values: Sequence[Any]) -> _Cut:
    """Return what :func:`_cut_alike` does; an unusual value stays, and its row is ``_UNREAD``."""
    first, *rest = pieces
    matches = [_VALUE.match(piece) for piece in rest]
    found = _instants([match[1] if match else b"" for match in matches])
    kept = [first]
    for piece, match, instant in zip(rest, matches, found, strict=True):
        if match is None or instant is _UNREAD:
            kept += (_KEY, piece)
            continue
        if match[2]:  # the last one of its object: the comma is before it
            kept[-1] = kept[-1].rstrip(b", \t\r\n")
        kept.append(piece[match.end() :])
    following = iter(found)
    instants = [None if value is UNSET else next(following) for value in values]
    return _Cut(b"".join(kept), instants)


def _instants(texts: Sequence[bytes]) -> list[datetime | None]:
    """Return the instant of each usual text, ``_UNREAD`` where it names none."""
    written = b"".join(text + b"+00:00 " for text in texts).decode().split(" ")[:-1]
    try:
        return [_from_iso(text) for text in written]
    except ValueError:
        return [instant_of(text) or _UNREAD for text in written]


def _batch(
    rows: Iterable[tuple[int, Row, str | None, datetime | None]],
    index: int,
    rejected: list[Rejection],
) -> Batch:
    """Return the usable rows; each comes with its position, and its columns if they are known."""
    batch = Batch()
    for position, row, known_id, known_instant in rows:
        distinct_id = known_id or _usable_id(bytes(row.distinct_id))
        if distinct_id is None:
            rejected.append(Rejection(index, position, "no usable $distinct_id"))
            continue
        raw = bytes(row.properties)
        if raw[:1] != b"{":
            if raw not in _NO_PROPERTIES:
                rejected.append(Rejection(index, position, "$properties is not an object"))
                continue
            raw = b"{}"
        last_seen = known_instant
        if last_seen is _UNREAD:
            raw, last_seen = _picked_last_seen(raw)
        batch.distinct_ids.append(distinct_id)
        batch.properties.append(raw)
        batch.last_seen.append(last_seen)
    return batch


def _picked_last_seen(raw: bytes) -> tuple[bytes, datetime | None]:
    """Return ``raw`` without its ``$last_seen`` and the instant, member by member.

    What names no instant stays among the properties.
    """
    members = _members(raw)
    seen = bytes(members.get("$last_seen", ABSENT))
    instant = parse_instant(_text(seen)) if seen[:1] == b'"' else None
    if instant is None:
        return raw, None
    del members["$last_seen"]
    return encode_raw(members), instant


def _usable_id(raw: bytes) -> str | None:
    """Return an id as text; a number keeps its digits. None for null, object, array, boolean."""
    if raw[:1] == b'"':
        return _text(raw)
    return raw.decode() if raw[:1] in b"-0123456789" and raw else None
