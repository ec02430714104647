"""Batch: the rows of one page, kept in columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import msgspec

from mixpanel_fetch import arrow

# An instant as Mixpanel writes it, with the fraction and the offset that others add. What does not
# match ("infinity", a date alone, an epoch number) is no instant and stays among the properties.
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})0*)?(Z|[+-][0-2]\d:?[0-5]\d)?", re.ASCII
)
encode_raw = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def parse_instant(text: str) -> datetime | None:
    """Return the instant that ``text`` names, in UTC, or None where it names none.

    Without an offset the time is UTC: Mixpanel's ``$last_seen`` carries none (its data-type page
    documents dates as ISO in UTC). A fraction finer than a microsecond is no match, because a
    ``datetime`` could not hold the same instant.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in (None, "Z") else f"{offset[:3]}:{offset[-2:]}"
    return instant_of(f"{day}T{clock}.{(fraction or '').ljust(6, '0')}{zone}")


def instant_of(iso: str) -> datetime | None:
    """Return, in UTC, the instant of ``iso`` (date, time and offset); None if there is none."""
    try:
        instant = datetime.fromisoformat(iso)
        return instant if instant.tzinfo is timezone.utc else instant.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def decode_properties(text: bytes) -> dict[str, Any]:
    """Return the properties in ``text``, every number as Python's own json reads it."""
    try:
        properties: dict[str, Any] = _decode(text)
    except msgspec.DecodeError:
        # msgspec refuses numbers that no double holds. What is no JSON at all raises here again.
        properties = json.loads(text)
    return properties


def encode_properties(properties: Mapping[str, Any]) -> bytes:
    """Return ``properties`` as one JSON object in UTF-8.

    A lone surrogate becomes U+FFFD, NaN and infinities null: JSON holds neither. Raises TypeError
    or ValueError for anything else that it cannot hold.
    """
    try:
        return encode_raw(properties)
    except (msgspec.MsgspecError, UnicodeError, OverflowError):
        # msgspec refuses integers beyond 64 bits and lone surrogates.
        text = json.dumps(
            _finite(properties), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        return without_surrogates(text).encode()


def _finite(value: Any) -> Any:
    """Return ``value`` with None for NaN and infinities, as msgspec writes them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def without_surrogates(text: str) -> str:
    """Return ``text`` with U+FFFD for lone surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _utc(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        instant = parse_instant(value)
        if instant is None:
            raise ValueError(f"last_seen is not an instant: {value!r}")
        return instant
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"last_seen must be a datetime, not {value!r}")
    if value.tzinfo is timezone.utc:
        return value
    return (
        value.replace(tzinfo=timezone.utc)
        if value.tzinfo is None
        else value.astimezone(timezone.utc)
    )


@dataclass(frozen=True)
class Batch:
    """The rows of one page, one list a column, all of one length.

    ``distinct_ids``: ids as text. ``properties``: one JSON object a row, as UTF-8 bytes; each
    value has the very bytes that Mixpanel sent. ``last_seen``: aware datetimes in UTC, or None.
    ``$last_seen`` is absent from ``properties`` exactly where ``last_seen`` holds that instant.

    ``note`` is the core's own remark on the page. A sink that can resume keeps it with the page,
    and gives it back in :attr:`~mixpanel_fetch.model.RunRecord.notes`; others leave it alone.

    Treat a batch and its lists as read-only: a transform returns a new one.
    """

    distinct_ids: list[str] = field(default_factory=list)
    properties: list[bytes] = field(default_factory=list)
    last_seen: list[datetime | None] = field(default_factory=list)
    note: str = ""

    def __post_init__(self) -> None:
        if not len(self.distinct_ids) == len(self.properties) == len(self.last_seen):
            raise ValueError("the columns of a Batch must have one length")

    def __len__(self) -> int:
        return len(self.distinct_ids)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dict: ``distinct_id``, ``properties`` (parsed), ``last_seen``."""
        columns = zip(self.distinct_ids, self.properties, self.last_seen, strict=True)
        for distinct_id, properties, last_seen in columns:
            yield {
                "distinct_id": distinct_id,
                "properties": decode_properties(properties),
                "last_seen": last_seen,
            }

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Batch:
        """Build a batch from what :meth:`rows` yields.

        ``properties`` and ``last_seen`` may be left out. A naive ``last_seen`` is taken as UTC.
        Raises KeyError without a ``distinct_id``, TypeError or ValueError for values that are
        not of these types.
        """
        batch = cls()
        for row in rows:
            if not isinstance(row["distinct_id"], str):
                raise TypeError(f"distinct_id must be text, not {row['distinct_id']!r}")
            properties = row.get("properties")
            properties = {} if properties is None else properties
            if type(properties) is not dict and not isinstance(properties, Mapping):
                raise TypeError(f"properties must be a mapping, not {properties!r}")
            batch.distinct_ids.append(without_surrogates(row["distinct_id"]))
            batch.properties.append(encode_properties(properties))
            batch.last_seen.append(_utc(row.get("last_seen")))
        return batch

    def last_of_each_id(self) -> Batch:
        """Return the rows without those that a later one with the same id follows, in their order.

        A page may hold an id twice; a sink with a key on ``distinct_id`` keeps the last row. The
        batch itself where no id comes twice.
        """
        last = dict(zip(self.distinct_ids, range(len(self)), strict=True))
        if len(last) == len(self):
            return self
        kept = sorted(last.values())
        return replace(
            self,
            distinct_ids=[self.distinct_ids[position] for position in kept],
            properties=[self.properties[position] for position in kept],
            last_seen=[self.last_seen[position] for position in kept],
        )

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table``, or without that an ``arro3.core.Table``.

        Columns: ``distinct_id`` and ``properties`` as text, ``last_seen`` as a timestamp in
        microseconds, UTC. Raises ConfigError without both libraries.
        """
        return arrow.table(self._columns())

    def df(self) -> Any:
        """Return a ``pandas.DataFrame`` of :meth:`rows`. Raises ConfigError without pandas."""
        return arrow.frame(list(self.rows()), ("distinct_id", "properties", "last_seen"))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the columns of :meth:`to_arrow` through the Arrow C stream interface.

        Raises ImportError without an Arrow library.
        """
        return arrow.stream(self._columns()).__arrow_c_stream__(requested_schema)

    def _columns(self) -> list[arrow.Column]:
        return [
            arrow.Column("distinct_id", self.distinct_ids, "text"),
            arrow.Column("properties", [one.decode() for one in self.properties], "text"),
            arrow.Column("last_seen", self.last_seen, "instant"),
        ]
