"""One page's rows as parameters for DuckDB, each value as the text that it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import msgspec

from mixpanel_fetch.batch import Batch, without_surrogates
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import shown
from mixpanel_fetch.errors import StorageError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

SHORT_COLUMNS = {"ids": ["VARCHAR"], "instants": ["BIGINT"]}
"""The shape of the first text of a piece, as DuckDB's ``from_json`` takes it."""

SEPARATOR = "\x1e"
"""What stands between the properties of two rows. JSON holds no raw control character but blanks,
and this one (RS, the record separator of RFC 7464) is none of those."""

_INVALID = """SELECT position FROM (
    SELECT unnest(texts) AS text, generate_subscripts(texts, 1) - 1 AS position
    FROM (SELECT from_json_strict($1, '["VARCHAR"]') AS texts))
    WHERE NOT json_valid(text)"""
_NO_JSON = "its properties are not JSON"
_SEPARATOR = SEPARATOR.encode()
_encode = msgspec.json.Encoder().encode

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"  # a pair: one character
    r"|(?P<lone>\\u[dD][89a-fA-F][\da-fA-F]{2})"
    r"|\\."
)


@dataclass(frozen=True)
class Rows:
    """A page's columns as parameters: text, JSON, microseconds since 1970 in UTC."""

    page: int
    ids: list[str]
    properties: list[bytes]
    instants: list[int | None]
    joined: str
    """All the properties, one after the other."""
    repaired: int = 0
    note: str = ""

    @classmethod
    def of(cls, page: int, batch: Batch) -> Rows:
        """Read a batch. Raises StorageError naming the row that is not what a Batch promises."""
        try:
            properties = _SEPARATOR.join(batch.properties)
            joined = properties.decode()
            instants = [
                None if seen is None else (seen - _EPOCH) // _MICROSECOND
                for seen in batch.last_seen
            ]
            ids = "".join(batch.distinct_ids)
        except (AttributeError, TypeError, UnicodeError):
            raise _first_unreadable(page, batch) from None
        if len(batch) and properties.count(_SEPARATOR) != len(batch) - 1:
            raise _first_unreadable(page, batch)
        rows = cls(page, batch.distinct_ids, batch.properties, instants, joined, note=batch.note)
        # DuckDB's client cannot take a lone surrogate, and its versions differ in how they say so.
        return rows if _encodes(ids) else rows._with_sound_ids()

    def __len__(self) -> int:
        return len(self.ids)

    def pieces(self, size: int) -> Iterator[tuple[str, str]]:
        """Yield two texts for each ``size`` rows: ids and instants as JSON, properties joined.

        Texts, not lists: as fast in DuckDB 2, and thirty times as fast in DuckDB 1, whose client
        looks for an import at each element of a list. The properties, nearly all of the bytes,
        need no parsing to come apart, and DuckDB does not write their numbers anew.
        """
        for start in range(0, len(self.ids), size):
            part = slice(start, start + size)
            columns = (self.ids[part], self.instants[part])
            short = _encode(dict(zip(SHORT_COLUMNS, columns, strict=True)))
            yield short.decode(), self._joined(part)

    def _joined(self, part: slice) -> str:
        if part.start == 0 and part.stop >= len(self.ids):
            return self.joined
        return _SEPARATOR.join(self.properties[part]).decode()

    def mended(self, db: Database) -> Rows:
        """Return the rows with what DuckDB's JSON refuses replaced by U+FFFD: lone surrogates.

        Raises StorageError naming the row whose properties are no JSON at all.
        """
        texts = [text.decode() for text in self.properties]
        repaired = self.repaired
        for (position,) in db.execute(_INVALID, [_encode(texts).decode()]):
            texts[position], count = _mend_escapes(texts[position])
            repaired += count
        for (position,) in db.execute(_INVALID, [_encode(texts).decode()]):
            raise _bad(self.page, position, _NO_JSON, self.ids[position])
        properties = [text.encode() for text in texts]
        joined = SEPARATOR.join(texts)
        return replace(self, properties=properties, joined=joined, repaired=repaired)

    def _with_sound_ids(self) -> Rows:
        ids = [without_surrogates(distinct_id) for distinct_id in self.ids]
        repaired = sum(old != new for old, new in zip(self.ids, ids, strict=True))
        return replace(self, ids=ids, repaired=self.repaired + repaired)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mend_escapes(text: str) -> tuple[str, int]:
    lone = [match.span() for match in _ESCAPE.finditer(text) if match["lone"]]
    for start, end in reversed(lone):
        text = f"{text[:start]}\\ufffd{text[end:]}"
    return text, len(lone)


def _first_unreadable(page: int, batch: Batch) -> StorageError:
    rows = zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)
    for position, (distinct_id, text, seen) in enumerate(rows):
        if not isinstance(distinct_id, str):
            return _bad(page, position, "its distinct_id is not text", distinct_id)
        if not (isinstance(text, bytes) and _decodes(text)):
            return _bad(page, position, "its properties are not JSON in UTF-8 bytes", distinct_id)
        if _SEPARATOR in text:
            return _bad(page, position, _NO_JSON, distinct_id)
        if seen is not None and not (isinstance(seen, datetime) and seen.tzinfo):
            return _bad(page, position, "its last_seen is not an aware datetime", distinct_id)
    return StorageError(f"page {page}: it is no Batch")


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bad(page: int, position: int, reason: str, distinct_id: object) -> StorageError:
    return StorageError(f"page {page}, row {position} ({shown(str(distinct_id))}): {reason}")
