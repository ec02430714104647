"""From a page's bytes to a Batch: the envelope validated, the rows' values kept byte for byte."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from marshmallow import ValidationError

from mixpanel_fetch.batch import Batch, encode_raw, parse_instant
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.model import Rejection
from mixpanel_fetch.schemas import EnvelopeSchema, one_line

Raw = msgspec.Raw
_ABSENT = Raw(b"")
_TOO_DEEP = "Mixpanel's answer is nested too deeply to be read"
_NOT_AN_ARRAY = "Mixpanel's answer is not what its API promises: results: not an array"


class _Row(msgspec.Struct, gc=False):
    distinct_id: Raw = msgspec.field(name="$distinct_id", default=_ABSENT)
    properties: dict[str, Raw] | None = msgspec.field(name="$properties", default=None)


class _Body(msgspec.Struct):
    """An answer whose rows are all of the promised shape: the common case, decoded in one go."""

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
_anything = msgspec.json.Decoder(dict[str, Raw]).decode
_value = msgspec.json.Decoder().decode


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
    batch = _batch(rows, index, rejected)
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
        raw = _anything(body)
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
        except msgspec.ValidationError as error:
            reason = (
                "$properties is not an object"
                if "$properties" in str(error)
                else ("the row is not an object")
            )
            rejected.append(Rejection(index, position, reason))
    return rows


def _batch(rows: list[tuple[int, _Row]], index: int, rejected: list[Rejection]) -> Batch:
    batch = Batch()
    for position, row in rows:
        distinct_id = _usable_id(bytes(row.distinct_id))
        if distinct_id is None:
            rejected.append(Rejection(index, position, "no usable $distinct_id"))
            continue
        properties = row.properties or {}
        last_seen = None
        raw_seen = properties.get("$last_seen")
        if raw_seen is not None:
            seen = bytes(raw_seen)
            last_seen = parse_instant(_text(seen)) if seen[:1] == b'"' else None
            if last_seen is not None:
                del properties["$last_seen"]
        batch.distinct_ids.append(distinct_id)
        batch.properties.append(encode_raw(properties))
        batch.last_seen.append(last_seen)
    return batch


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
