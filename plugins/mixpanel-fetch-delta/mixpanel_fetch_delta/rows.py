"""A page on its way into Parquet: its rows, one an id, as an Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from arro3.core import Array, DataType, Field, Schema, Table

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import StorageError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_TEXT, _INSTANT = DataType.string(), DataType.timestamp("us", tz="UTC")
_SCHEMA = Schema(
    [
        Field("distinct_id", _TEXT, nullable=True),
        Field("properties", _TEXT, nullable=True),
        Field("last_seen", _INSTANT, nullable=True),
    ]
)


@dataclass(frozen=True)
class Rows:
    """A page's columns, one row an id; of those that came with one id, the last.

    ``received``: the rows as they came. ``micros``: microseconds since 1970, in UTC.
    """

    page: int
    ids: Sequence[str]
    texts: Sequence[str]
    micros: Sequence[int | None]
    received: int
    note: str = ""

    @classmethod
    def of(cls, page: int, batch: Batch) -> Rows:
        """Read a batch. Raises StorageError naming the row that is not what a Batch promises."""
        try:
            kept = batch.last_of_each_id()
            ids = [distinct_id.encode().decode() for distinct_id in kept.distinct_ids]
            texts = [properties.decode() for properties in kept.properties]
            micros = [
                None if seen is None else (seen - _EPOCH) // _MICROSECOND for seen in kept.last_seen
            ]
        except (AttributeError, TypeError, UnicodeError):
            raise _first_unreadable(page, batch) from None
        return cls(page, ids, texts, micros, len(batch), batch.note)

    def __len__(self) -> int:
        return len(self.ids)


def as_table(pages: Sequence[Rows]) -> Any:
    """Return the rows of pages, one after the other, as an ``arro3.core.Table``."""
    ids = [one for page in pages for one in page.ids]
    texts = [one for page in pages for one in page.texts]
    micros = [one for page in pages for one in page.micros]
    columns = [
        Array(ids, _TEXT),
        Array(texts, _TEXT),
        Array(micros, DataType.int64()).cast(_INSTANT),
    ]
    return Table.from_arrays(columns, schema=_SCHEMA)


def numbers(**columns: Sequence[int]) -> Any:
    """Return whole numbers as an ``arro3.core.Table``."""
    whole = DataType.int64()
    schema = Schema([Field(name, whole, nullable=False) for name in columns])
    return Table.from_arrays([Array(list(one), whole) for one in columns.values()], schema=schema)


def _first_unreadable(page: int, batch: Batch) -> StorageError:
    rows = zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)
    for position, (distinct_id, text, seen) in enumerate(rows):
        reason = _wrong(distinct_id, text, seen)
        if reason:
            return StorageError(f"page {page}, row {position} ({distinct_id!a:.80}): {reason}")
    return StorageError(f"page {page}: it is no Batch")


def _wrong(distinct_id: object, text: object, seen: object) -> str:
    if not isinstance(distinct_id, str) or not _encodes(distinct_id):
        return "its distinct_id is not text"
    if not isinstance(text, bytes) or not _decodes(text):
        return "its properties are not JSON in UTF-8 bytes"
    if seen is not None and not (isinstance(seen, datetime) and seen.tzinfo):
        return "its last_seen is not an aware datetime"
    return ""


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
