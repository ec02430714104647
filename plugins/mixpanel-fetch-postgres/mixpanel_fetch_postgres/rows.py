"""A page on its way into PostgreSQL: its columns, mended where need be, as the bytes of a COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from struct import Struct

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import StorageError
from mixpanel_fetch_postgres.mending import NUL, mended_id, mended_json
from mixpanel_fetch_postgres.names import shown

# The binary format of COPY (PostgreSQL's manual, under COPY, "Binary Format"). Made by hand:
# half the time that psycopg's own packing takes, and the values are bytes already.
BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
_FIELDS = 4
_head = Struct("!hi").pack  # fields of the row; length of the id
_json = Struct("!ib").pack  # length with the version; version 1 of jsonb's binary form
_tail = Struct("!iqii").pack  # last_seen in microseconds since 2000; the page's number
_tail_without = Struct("!iii").pack

_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Rows:
    """A page's columns, one row an id. ``instants``: microseconds since 2000, in UTC.

    ``received``: the rows as they came, of which ``duplicates`` gave way to a later one.
    """

    page: int
    ids: Sequence[str]
    properties: Sequence[bytes]
    instants: Sequence[int | None]
    received: int
    repaired: int = 0
    note: str = ""

    @classmethod
    def of(cls, page: int, batch: Batch) -> Rows:
        """Read a batch, mending ids, and NULs in the properties.

        Raises StorageError naming the row that is not what a Batch promises.
        """
        try:
            ids, repaired = _sound(batch.distinct_ids)
            kept = replace(batch, distinct_ids=ids).last_of_each_id()
            instants = [
                None if seen is None else (seen - _EPOCH) // _MICROSECOND for seen in kept.last_seen
            ]
            has_nul = NUL in b"\n".join(kept.properties)
        except (AttributeError, TypeError):
            raise _first_unreadable(page, batch) from None
        rows = cls(
            page, kept.distinct_ids, kept.properties, instants, len(batch), repaired, batch.note
        )
        # Looked for here, because a COPY that fails leaves its dead rows in the table.
        return rows.mended() if has_nul else rows

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def duplicates(self) -> int:
        """How many rows gave way to a later one of the page with the same id."""
        return self.received - len(self.ids)

    def encoded(self) -> bytes:
        """Return the rows as data of a binary COPY, without its beginning and end."""
        page = self.page
        pieces: list[bytes] = []
        for distinct_id, text, instant in zip(
            self.ids, self.properties, self.instants, strict=True
        ):
            key = distinct_id.encode()
            pieces += (
                _head(_FIELDS, len(key)),
                key,
                _json(len(text) + 1, 1),
                text,
                _tail_without(-1, 4, page) if instant is None else _tail(8, instant, 4, page),
            )
        return b"".join(pieces)

    def mended(self, *, flat: bool = False) -> Rows:
        """Return the rows with what jsonb refuses replaced; ``flat``: deep nesting, too."""
        properties = list(self.properties)
        repaired = self.repaired
        for position, text in enumerate(properties):
            properties[position], count = mended_json(text, flat=flat)
            repaired += count
        return replace(self, properties=properties, repaired=repaired)

    def refused(self, position: int | None, reason: str) -> StorageError:
        """Return the error that names the row which the server would not take."""
        if position is None or not 0 <= position < len(self):
            return StorageError(f"page {self.page}: {reason}")
        return _bad(self.page, position, reason, self.ids[position])


def _sound(ids: list[str]) -> tuple[list[str], int]:
    """Return the ids as the server takes them, and how many had to be mended."""
    joined = "".join(ids)
    if "\0" not in joined and _encodes(joined):
        return ids, 0
    mended = [mended_id(distinct_id) for distinct_id in ids]
    return mended, sum(old != new for old, new in zip(ids, mended, strict=True))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_unreadable(page: int, batch: Batch) -> StorageError:
    rows = zip(batch.distinct_ids, batch.properties, batch.last_seen, strict=True)
    for position, (distinct_id, text, seen) in enumerate(rows):
        if not isinstance(distinct_id, str):
            return _bad(page, position, "its distinct_id is not text", distinct_id)
        if not isinstance(text, bytes):
            return _bad(page, position, "its properties are not JSON in UTF-8 bytes", distinct_id)
        if seen is not None and not (isinstance(seen, datetime) and seen.tzinfo):
            return _bad(page, position, "its last_seen is not an aware datetime", distinct_id)
    return StorageError(f"page {page}: it is no Batch")


def _bad(page: int, position: int, reason: str, distinct_id: object) -> StorageError:
    return StorageError(f"page {page}, row {position} ({shown(str(distinct_id))}): {reason}")
