"""From a page's bytes to a Batch: the envelope validated, the rows' values kept byte for byte."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from marshmallow import ValidationError

from mixpanel_fetch.batch import Batch, encode_raw, instant_of, parse_instant
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.model import Rejection
from mixpanel_fetch.schemas import EnvelopeSchema, one_line

Raw = msgspec.Raw
_ABSENT = Raw(b"")
_NO_PROPERTIES = (b"", b"null")
_TOO_DEEP = "Mixpanel's answer is nested too deeply to be read"
_NOT_AN_ARRAY = "Mixpanel's answer is not what its API promises: results: not an array"


class _Row(msgspec.Struct, gc=False):
    distinct_id: Raw = msgspec.field(name="$distinct_id", default=_ABSENT)
    properties: Raw = msgspec.field(name="$properties", default=_ABSENT)


class _Body(msgspec.Struct):
    """An answer whose rows are all objects: the common case, decoded in one go."""

    results: list[_Row]
    page: Any = None
    page_size: Any = None
    session_id: Any = None
    total: Any = None
    status: Any = "ok"


class _Rows(msgspec.Struct):
    results: list[Raw]


_body = msgspec.json.Decoder(_Body).decode
_rows = msgspec.json.Decoder(_Rows).decode
_row = msgspec.json.Decoder(_Row).decode
_text = msgspec.json.Decoder(str).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_value = msgspec.json.Decoder().decode

# The member of a row's properties, with the comma after it: as Mixpanel writes it, to the second.
_SEEN = re.compile(rb'"\$last_seen"\s*:\s*"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)"\s*(?:,\s*|(?=}))')
# A character of "$last_seen" in disguise.
_DISGUISED = re.compile(rb"\\u00(?:24|5f|6[15ce]|7[34])", re.IGNORECASE)
_CLOSE, _BACKSLASH = b"}\\"


@dataclass(frozen=True)
class Envelope:
    """What an answer says around its rows. ``total`` is None where the page does not carry it."""

    page: int | None
    page_size: int | None
    session_id: str | None
    total: int | None


@dataclass(frozen=True)
class DecodedPage:
    """An answer, decoded: see :class:`~mixpanel_fetch.model.Page` for the figures."""

    envelope: Envelope
    batch: Batch
    rows_received: int
    rejected: tuple[Rejection, ...]
    repaired_values: int


def decode_page(body: bytes, index: int) -> DecodedPage:
    """Decode the answer for page ``index``.

    Rows without a usable id or properties are rejected, one by one; the others keep each value's
    own bytes. Raises ServerError when the answer is not what the API promises.
    """
    try:
        try:
            return _decode(body, index, 0)
        except (msgspec.DecodeError, UnicodeDecodeError):
            mended, repaired = mend(body)
            return _decode(mended, index, repaired)
    except RecursionError:
        raise ServerError(_TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ServerError("Mixpanel's answer is not JSON") from None


def _decode(body: bytes, index: int, repaired: int) -> DecodedPage:
    if not body.isascii():
        str(body, "utf-8")  # msgspec does not look inside Raw values
    rejected: list[Rejection] = []
    try:
        answer = _body(body)
        fields = {name: getattr(answer, name) for name in _Body.__struct_fields__}
        rows, received = list(enumerate(answer.results)), len(answer.results)
    except msgspec.ValidationError:
        fields, raw_rows = _loose_envelope(body)
        rows, received = _loose_rows(raw_rows, index, rejected), len(raw_rows)
    envelope = _validated(fields)
    batch = _batch(
        rows, index, rejected, plain=b"\\u00" not in body or _DISGUISED.search(body) is None
    )
    rejected.sort(key=lambda one: one.position)
    return DecodedPage(envelope, batch, received, tuple(rejected), repaired)


def decode_document(body: bytes) -> dict[str, Any]:
    """Return the contract's dict of an answer: results, total, page_size, page, session_id.

    ``total`` is None on a page that does not carry it. Raises ServerError as :func:`decode_page`.
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise ServerError(_TOO_DEEP) from None
    except ValueError:
        raise ServerError("Mixpanel's answer is not JSON") from None
    if not isinstance(document, dict):
        raise ServerError("Mixpanel's answer is not a JSON object")
    envelope = _validated(document)
    if not isinstance(document["results"], list):
        raise ServerError(_NOT_AN_ARRAY)
    return {
        "results": document["results"],
        "total": envelope.total,
        "page_size": envelope.page_size,
        "page": envelope.page,
        "session_id": envelope.session_id,
    }


def _validated(fields: dict[str, Any]) -> Envelope:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        known = EnvelopeSchema().load(given)
    except ValidationError as error:
        raise ServerError(
            f"Mixpanel's answer is not what its API promises: {one_line(error)}"
        ) from None
    return Envelope(known["page"], known["page_size"], known["session_id"], known["total"])


def _loose_envelope(body: bytes) -> tuple[dict[str, Any], list[Raw]]:
    try:
        raw = _members(body)
    except msgspec.ValidationError:
        raise ServerError("Mixpanel's answer is not a JSON object") from None
    fields = {name: _value(value) for name, value in raw.items() if name != "results"}
    if "results" not in raw:
        return fields, []
    try:
        return {**fields, "results": []}, _rows(body).results
    except msgspec.ValidationError:
        raise ServerError(_NOT_AN_ARRAY) from None


def _loose_rows(
    raw_rows: list[Raw], index: int, rejected: list[Rejection]
) -> list[tuple[int, _Row]]:
    rows = []
    for position, raw in enumerate(raw_rows):
        try:
            rows.append((position, _row(raw)))
        except msgspec.ValidationError:
            rejected.append(Rejection(index, position, "the row is not an object"))
    return rows


def _batch(
    rows: list[tuple[int, _Row]], index: int, rejected: list[Rejection], *, plain: bool
) -> Batch:
    """Return the usable rows. ``plain``: no key of any row is written with escapes."""
    ids: list[str] = []
    texts: list[bytes] = []
    instants: list[datetime | None] = []
    for position, row in rows:
        distinct_id = _usable_id(bytes(row.distinct_id))
        if distinct_id is None:
            rejected.append(Rejection(index, position, "no usable $distinct_id"))
            continue
        raw = bytes(row.properties)
        if raw[:1] != b"{":
            if raw not in _NO_PROPERTIES:
                rejected.append(Rejection(index, position, "$properties is not an object"))
                continue
            raw = b"{}"
        cut = _cut_last_seen(raw) if plain else None
        text, last_seen = cut or _picked_last_seen(raw)
        ids.append(distinct_id)
        texts.append(text)
        instants.append(last_seen)
    return Batch(ids, texts, instants)


def _cut_last_seen(raw: bytes) -> tuple[bytes, datetime] | None:
    """Return ``raw`` without its ``$last_seen``, which is cut out where it stands, and the instant.

    ``raw`` is valid JSON, its keys written without escapes. None unless that member is certainly
    one of the outer object: a backslash before it puts it in a string, and it is not nested if no
    object opens before it, or none closes after it.
    """
    start = raw.find(b'"$last_seen"')
    match = _SEEN.match(raw, start) if start > 0 else None
    if match is None:
        return None
    end = match.end()
    if raw[start - 1] == _BACKSLASH or raw.find(b'$last_seen"', end) >= 0:
        return None
    if raw.find(b"{", 1, start) >= 0 and raw.find(b"}", end, -1) >= 0:
        return None
    instant = instant_of(match[1].decode() + "+00:00")
    if instant is None:
        return None
    if raw[end] == _CLOSE:
        return raw[:start].rstrip(b", \t\r\n") + b"}", instant
    return raw[:start] + raw[end:], instant


def _picked_last_seen(raw: bytes) -> tuple[bytes, datetime | None]:
    """Return ``raw`` without its ``$last_seen`` and the instant, member by member.

    What names no instant stays among the properties.
    """
    members = _members(raw)
    seen = bytes(members.get("$last_seen", _ABSENT))
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


# A JSON string, or a bare word that Python and DuckDB take for a number but JSON does not know.
_STRING_OR_WORD = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend(body: bytes) -> tuple[bytes, int]:
    """Return ``body`` with what no JSON reader takes replaced, and how many values that were.

    Lone surrogates and invalid UTF-8 become U+FFFD, NaN and infinities become null: no store's
    JSON holds them, and one such value must not cost its page.
    """
    pieces: list[bytes] = []
    done = mended = 0
    for match in _STRING_OR_WORD.finditer(body):
        token = match.group()
        better = _mend_string(token) if token[:1] == b'"' else b"null"
        if better != token:
            pieces += [body[done : match.start()], better]
            done = match.end()
            mended += 1
    # Invalid bytes outside of a string make it no JSON anyway; here they only must not raise later.
    return str(b"".join([*pieces, body[done:]]), "utf-8", "replace").encode(), mended


def _mend_string(token: bytes) -> bytes:
    return str(_ESCAPE.sub(_mend_escape, token), "utf-8", "replace").encode()


def _mend_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match.group("lone") else match.group()
