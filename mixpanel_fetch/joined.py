"""The pages of one query, asked for one after the other and joined to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import EngageConnection
from mixpanel_fetch.decode import DecodedPage
from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.model import ProfileQuery, Rejection


def fetch_joined(
    connection: EngageConnection, query: ProfileQuery, index: int, page_size: int | None
) -> tuple[DecodedPage, int, int]:
    """Return all that matches ``query`` as page ``index``, its bytes, and the requests it took.

    Only a request that was made again adds to those. Raises as
    :meth:`~mixpanel_fetch.client.EngageConnection.fetch_page`, and ServerError where less came
    than was announced.
    """
    first, size, attempts = connection.fetch_page(query, 0, page_size=page_size)
    parts = [first]
    while not _is_whole(parts):
        part, more_bytes, more_attempts = connection.fetch_page(
            query, len(parts), session_id=first.envelope.session_id, page_size=page_size
        )
        parts.append(part)
        size, attempts = size + more_bytes, attempts + more_attempts - 1
    return _joined(parts, index), size, attempts


@dataclass(frozen=True)
class _JoinedRows:
    """The rows of several answers, one after the other."""

    parts: Sequence[DecodedPage]

    def read(self, index: int) -> tuple[Batch, list[Rejection]]:
        read = [replace(part, index=index).read() for part in self.parts]
        batch = Batch(
            [each for one, _ in read for each in one.distinct_ids],
            [each for one, _ in read for each in one.properties],
            [each for one, _ in read for each in one.last_seen],
        )
        return batch, [each for _, rejected in read for each in rejected]


def _is_whole(parts: Sequence[DecodedPage]) -> bool:
    """Whether all is there; where no total is named, a page that is not full is the last."""
    envelope, last = parts[0].envelope, parts[-1]
    received = sum(part.rows_received for part in parts)
    if envelope.session_id is None:
        return True
    if envelope.total is None:
        return last.rows_received < (envelope.page_size or 1)
    if received < envelope.total and last.rows_received == 0:
        raise ServerError(f"Mixpanel announced {envelope.total:,} profiles and sent {received:,}")
    return received >= envelope.total


def _joined(parts: Sequence[DecodedPage], index: int) -> DecodedPage:
    if len(parts) == 1:
        return replace(parts[0], index=index)
    return replace(
        parts[0],
        index=index,
        rows_received=sum(part.rows_received for part in parts),
        repaired_values=sum(part.repaired_values for part in parts),
        rows=_JoinedRows(parts),
    )
