"""A batch as lines: rows of our own, or profiles in one of Mixpanel's shapes.

All of them keep each property's value as the bytes that Mixpanel sent; nothing is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.secret import Secret

Lines = Callable[[Batch], bytes]
"""Gives the rows of a batch as lines, each ended by a line feed."""

# JSON may hold line breaks between its tokens, never inside a string: blanks mean the same.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_BLANKS = b" \t"
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


def row_lines(batch: Batch) -> bytes:
    """Return lines of ``distinct_id``, ``properties`` and ``last_seen``."""
    return _encode_lines(
        {
            "distinct_id": distinct_id,
            "properties": msgspec.Raw(properties.translate(_ONE_LINE)),
            "last_seen": last_seen,
        }
        for distinct_id, properties, last_seen in zip(
            batch.distinct_ids, batch.properties, batch.last_seen, strict=True
        )
    )


def profile_lines(batch: Batch) -> bytes:
    """Return lines as the Engage API sends profiles: ``$distinct_id`` and ``$properties``.

    An id that came as a number is text here, as Mixpanel's importers send ids.
    """
    return _encode_lines(
        {"$distinct_id": distinct_id, "$properties": properties}
        for distinct_id, properties in _profiles(batch)
    )


def update_lines(token: Secret, batch: Batch) -> bytes:
    """Return lines as ``/engage#profile-set`` takes updates, for the project of ``token``.

    An import is no visit: ``$ignore_time`` keeps Mixpanel from stamping ``$last_seen`` with the
    time of the import, and ``$ip`` "0" from placing the user where the import runs (both as
    Mixpanel's own importer mixpanel-utils sends them; ``$ip`` also in its user profile docs).
    """
    revealed = token.reveal()
    return _encode_lines(
        {
            "$token": revealed,
            "$distinct_id": distinct_id,
            "$ip": "0",
            "$ignore_time": True,
            "$set": properties,
        }
        for distinct_id, properties in _profiles(batch)
    )


def _profiles(batch: Batch) -> Iterator[tuple[str, msgspec.Raw]]:
    columns = zip(batch.distinct_ids, batch.properties, _last_seens(batch), strict=True)
    for distinct_id, properties, last_seen in columns:
        whole = properties.translate(_ONE_LINE)
        if last_seen != b"null":
            whole = _with_last_seen(whole, last_seen)
        yield distinct_id, msgspec.Raw(whole)


def _last_seens(batch: Batch) -> list[bytes]:
    """Return each row's ``$last_seen`` as JSON, in Mixpanel's format: UTC without saying so."""
    # All of them at once takes a tenth of the time.
    return _encode(batch.last_seen).replace(b'Z"', b'"')[1:-1].split(b",") if batch else []


def _with_last_seen(properties: bytes, last_seen: bytes) -> bytes:
    """Return the object ``properties`` with ``$last_seen`` as its last member."""
    # Before the closing brace; only an empty object has its opening one there.
    before = properties.rstrip(_BLANKS)[:-1].rstrip(_BLANKS)
    comma = b"" if before.endswith(b"{") else b","
    return b"".join((before, comma, b'"$last_seen":', last_seen, b"}"))
