"""From a page's bytes to a Batch: the envelope validated, the rows' values kept byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from marshmallow import ValidationError

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.mend import mend
from mixpanel_fetch.model import Rejection
from mixpanel_fetch.rows import OddRows, RowSeen, UsualRows
from mixpanel_fetch.schemas import EnvelopeSchema, one_line

_TOO_DEEP = "Mixpanel's answer is nested too deeply to be read"
_MOST_PAGES = 2**20
_NOT_AN_ARRAY = "Mixpanel's answer is not what its API promises: results: not an array"


class _Body(msgspec.Struct):
    """An answer whose rows are all of the promised shape: the common case, decoded in one go."""

    results: list[RowSeen]
    page: Any = None
    page_size: Any = None
    session_id: Any = None
    total: Any = None
    status: Any = "ok"


class _RawRows(msgspec.Struct):
    results: list[msgspec.Raw]


_body = msgspec.json.Decoder(_Body).decode
_raw_rows = msgspec.json.Decoder(_RawRows).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
_ENVELOPE = EnvelopeSchema()


@dataclass(frozen=True)
class Envelope:
    """What an answer says around its rows. ``total`` is None where the page does not carry it."""

    page: int | None
    page_size: int | None
    session_id: str | None
    total: int | None


class Rows(Protocol):
    """The rows of an answer, not read yet."""

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:
        """Return the usable rows of page ``index``, and those left out."""


@dataclass(frozen=True)
class DecodedPage:
    """An answer whose whole text is known to be JSON, and whose rows are not read yet.

    See :class:`~mixpanel_fetch.model.Page` for the figures. ``rows`` holds what :meth:`read`
    needs.
    """

    index: int
    envelope: Envelope
    rows_received: int
    repaired_values: int
    rows: Rows

    def read(self) -> tuple[Batch, tuple[Rejection, ...]]:
        """Return the usable rows, each value with its own bytes, and what was left out of them.

        By far the larger part of the work. Raises ServerError for nesting too deep to be read.
        """
        try:
            batch, rejected = self.rows.read(self.index)
        except RecursionError:
            raise ServerError(_TOO_DEEP, transient=False) from None
        return batch, tuple(rejected)


def decode_page(body: bytes, index: int) -> DecodedPage:
    """Decode the answer for page ``index``.

    Raises ServerError when the answer is not what the API promises. Rows without a usable id or
    properties are no reason to: they are rejected, one by one, when the rows are read.
    """
    try:
        try:
            return _decode(body, index, 0)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            mended, repaired = mend(body)
            return _decode(mended, index, repaired)
    except RecursionError:
        raise ServerError(_TOO_DEEP, transient=False) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ServerError("Mixpanel's answer is not JSON") from None


def _decode(body: bytes, index: int, repaired: int) -> DecodedPage:
    if not body.isascii():
        str(body, "utf-8")  # msgspec does not look inside Raw values
    try:
        answer = _body(body)
    except msgspec.ValidationError:
        fields, odd = _loose_envelope(body)
        return DecodedPage(index, _validated(fields), len(odd), repaired, OddRows(odd))
    envelope = _validated({name: getattr(answer, name) for name in _Body.__struct_fields__})
    usual = UsualRows(body, answer.results)
    return DecodedPage(index, envelope, len(answer.results), repaired, usual)


def decode_document(body: bytes) -> dict[str, Any]:
    """Return the contract's dict of an answer: results, total, page_size, page, session_id.

    ``total`` is None on a page that does not carry it. Raises ServerError as :func:`decode_page`.
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise ServerError(_TOO_DEEP, transient=False) from None
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
        known = _ENVELOPE.load(given)
    except ValidationError as error:
        raise ServerError(
            f"Mixpanel's answer is not what its API promises: {one_line(error)}"
        ) from None
    envelope = Envelope(known["page"], known["page_size"], known["session_id"], known["total"])
    total, page_size = envelope.total, envelope.page_size
    if total is not None and page_size is not None and total > _MOST_PAGES * page_size:
        raise ServerError(
            f"Mixpanel announces {total:,} profiles in pages of {page_size:,},"
            f" which is more than {_MOST_PAGES:,} pages; ask for larger ones with --page-size"
        )
    return envelope


def _loose_envelope(body: bytes) -> tuple[dict[str, Any], list[msgspec.Raw]]:
    try:
        raw = _members(body)
    except msgspec.ValidationError:
        raise ServerError("Mixpanel's answer is not a JSON object") from None
    fields = {name: _value(value) for name, value in raw.items() if name != "results"}
    if "results" not in raw:
        return fields, []
    try:
        return {**fields, "results": []}, _raw_rows(body).results
    except msgspec.ValidationError:
        raise ServerError(_NOT_AN_ARRAY) from None
