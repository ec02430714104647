"""A file on its way into a store, in parts, which another thread may stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mixpanel_fetch.errors import StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PART = 8 * 2**20
_MOST_PARTS = 10_000  # of one upload to S3
_AT_ONCE = 4  # so that at most 32 MiB of a file below 80 GB are in memory
_PIECE = 2**20
_GLANCE = 0.1  # seconds between two looks at whether to stop
_GRACE = 2.0  # seconds that a stopped upload has to take its parts back
_CONTENT_TYPE = "application/vnd.apache.parquet"


class Upload:
    """One file, one object, whole or not at all: obstore takes back the parts of a failed one."""

    def __init__(self, store: ObjectStore, key: str, file: Path) -> None:
        self._store, self._key, self._file = store, key, file
        self._stopped = False

    def run(self) -> None:
        """Send the file. Raises what obstore raises; StorageError when interrupted."""
        asyncio.run(self._send())

    def interrupt(self) -> None:
        """Make :meth:`run` end soon. Called from another thread."""
        self._stopped = True

    async def _send(self) -> None:
        # In a loop of its own, because a call of obstore's that blocks could not be stopped while
        # the store keeps it waiting.
        import obstore

        size = self._file.stat().st_size
        sending = asyncio.ensure_future(
            obstore.put_async(
                self._store,
                self._key,
                self._pieces(),
                attributes={"Content-Type": _CONTENT_TYPE},
                use_multipart=size > _PART,
                chunk_size=max(_PART, -(-size // _MOST_PARTS)),
                max_concurrency=_AT_ONCE,
            )
        )
        stopped_at = None
        while not sending.done():
            await asyncio.wait({sending}, timeout=_GLANCE)
            if self._stopped and stopped_at is None:
                stopped_at = time.monotonic()
            if stopped_at is not None and time.monotonic() - stopped_at > _GRACE:
                sending.cancel()
        if self._stopped and (sending.cancelled() or sending.exception() is not None):
            raise StorageError("interrupted")
        sending.result()

    def _pieces(self) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            while piece := file.read(_PIECE):
                if self._stopped:
                    raise InterruptedError  # obstore then takes back what is there
                yield piece
