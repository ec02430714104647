"""One page's rows as parameters for DuckDB, each value as the text that it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import shown
from mixpanel_fetch.errors import StorageError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

_INVALID = """SELECT position FROM (
    SELECT unnest($1::VARCHAR[]) AS text, generate_subscripts($1::VARCHAR[], 1) - 1 AS position)
    WHERE NOT json_valid(text)"""

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"  # a pair: one character
    r"|(?P<lone>\\u[dD][89a-fA-F][\da-fA-F]{2})"
    r"|\\."
)


@dataclass(frozen=True)
class Rows:
    """A page's columns as parameters: text, text, microseconds since 1970 in UTC."""

    page: int
    ids: list[str]
    properties: list[str]
    instants: list[int | None]
    repaired: int = 0

    @classmethod
    def of(cls, page: int, batch: Batch) -> Rows:
        """Read a batch. Raises StorageError naming the row that is not what a Batch promises."""
        try:
            return cls(
                page,
                batch.distinct_ids,
                [text.decode() for text in batch.properties],
                [None if seen is None else (seen - _EPOCH) // _MICROSECOND
                 for seen in batch.last_seen],
            )  # fmt: skip
        except (AttributeError, TypeError, UnicodeError):
            raise _first_unreadable(page, batch) from None

    def __len__(self) -> int:
        return len(self.ids)

    def pieces(self, size: int | None) -> Iterator[list[list[str] | list[int | None]]]:
        """Yield the columns in pieces of at most ``size`` rows; None: in one."""
        if not self.ids:
            return
        step = size or len(self.ids)
        for start in range(0, len(self.ids), step):
            part = slice(start, start + step)
            yield [self.ids[part], self.properties[part], self.instants[part]]

    def require_ids(self) -> None:
        """Raise StorageError naming the row whose id is no text."""
        for position, distinct_id in enumerate(self.ids):
            if not isinstance(distinct_id, str):
                raise _bad(self.page, position, "its distinct_id is not text")

    def distinct(self) -> Rows:
        """Return the rows with the later one of each id only.

        One statement cannot update a row twice.
        """
        last = {distinct_id: position for position, distinct_id in enumerate(self.ids)}
        kept = sorted(last.values())
        return self._with(
            [self.ids[i] for i in kept],
            [self.properties[i] for i in kept],
            [self.instants[i] for i in kept],
        )

    def mended(self, db: Database) -> Rows:
        """Return the rows with what DuckDB refuses replaced by U+FFFD: lone surrogates.

        Raises StorageError naming the row whose properties are no JSON at all.
        """
        ids = [_without_surrogates(distinct_id) for distinct_id in self.ids]
        repaired = sum(old != new for old, new in zip(self.ids, ids, strict=True))
        properties = list(self.properties)
        for (position,) in db.execute(_INVALID, [properties]):
            properties[position], count = _mend_escapes(properties[position])
            repaired += count
        for (position,) in db.execute(_INVALID, [properties]):
            raise _bad(self.page, position, "its properties are not JSON", ids[position])
        return self._with(ids, properties, self.instants, repaired)

    def _with(
        self,
        ids: list[str],
        properties: list[str],
        instants: list[int | None],
        repaired: int = 0,
    ) -> Rows:
        return Rows(self.page, ids, properties, instants, self.repaired + repaired)


def _mend_escapes(text: str) -> tuple[str, int]:
    lone = [match.span() for match in _ESCAPE.finditer(text) if match["lone"]]
    for start, end in reversed(lone):
        text = f"{text[:start]}\\ufffd{text[end:]}"
    return text, len(lone)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _first_unreadable(page: int, batch: Batch) -> StorageError:
    for position, text in enumerate(batch.properties):
        try:
            text.decode()
        except (AttributeError, UnicodeError):
            reason = "its properties are not JSON in UTF-8 bytes"
            return _bad(page, position, reason, batch.distinct_ids[position])
    naive = next(
        position
        for position, seen in enumerate(batch.last_seen)
        if seen is not None and not (isinstance(seen, datetime) and seen.tzinfo)
    )
    reason = "its last_seen is not an aware datetime"
    return _bad(page, naive, reason, batch.distinct_ids[naive])


def _bad(page: int, position: int, reason: str, distinct_id: object = None) -> StorageError:
    who = f" ({shown(str(distinct_id))})" if distinct_id is not None else ""
    return StorageError(f"page {page}, row {position}{who}: {reason}")
