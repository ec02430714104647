"""ProfileStream: the profiles of one query as they arrive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.errors import IncompleteFetchError
from mixpanel_fetch.model import ProfileBatchProgress
from mixpanel_fetch.result import RunResult
from mixpanel_fetch.streaming.fetch import End, Fetch, Passed

_LISTED = 10  # pages named one by one in an error


class ProfileStream:
    """The profiles of one query as they arrive: an iterator of rows, and a context manager.

    A row is a dict: ``distinct_id``, ``properties`` (parsed), ``last_seen`` (an aware datetime or
    None). :meth:`batches` gives whole pages instead. Nothing is asked for before the first row is
    wanted. A few pages are fetched ahead, whatever the pace of whoever reads.

    What page 0 raises, the first row raises. When other pages failed or rows are missing, the
    last row is followed by IncompleteFetchError, unless partial data were allowed. Leaving the
    ``with`` early ends the fetch within a second, and so does :meth:`close`; a stream that is
    merely dropped stops by itself. One thread reads at a time; it may be any.
    """

    def __init__(
        self, client: MixpanelAPIClient, assembler: Assembler, request: FetchRequest
    ) -> None:
        self.result: RunResult | None = None
        """What came of it, as after a fetch into a table; None until the stream has ended."""
        self._on_batch_complete = request.on_batch_complete
        self._allow_partial = request.tolerance.partial
        self._fetch = Fetch(client, assembler, request)
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._left_early = False
        self._end: End | None = None
        # The fetch knows nothing of this object, which can then be dropped while it runs.
        weakref.finalize(self, self._fetch.stop).atexit = False

    def __enter__(self) -> ProfileStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> ProfileStream:
        return self

    def __next__(self) -> dict[str, Any]:
        while (row := next(self._rows, None)) is None:
            batch = self._next_batch()
            if batch is None:
                raise StopIteration
            self._rows = batch.rows()
        return row

    def batches(self) -> Iterator[Batch]:
        """Yield each page's rows as a Batch, as it arrives; pages come in any order.

        Raises as iterating over the rows does.
        """
        while (batch := self._next_batch()) is not None:
            yield batch

    def close(self) -> None:
        """End the fetch if it is under way, and wait until it has ended. May be called twice."""
        self._left_early = self._left_early or self._end is None
        self._rows = iter(())
        self._fetch.stop()
        while self._fetch.started and self._end is None:
            self._take()

    def _next_batch(self) -> Batch | None:
        """Return the next page with rows, or None at the end. Raises what kept others away."""
        if self._left_early:
            raise ValueError("the stream is closed")
        self._fetch.start()
        while self._end is None:
            value = self._take()
            if isinstance(value, Batch):
                return value
            if isinstance(value, ProfileBatchProgress) and self._on_batch_complete is not None:
                self._on_batch_complete(value)
        self._raise_unless_whole(self._end)
        return None

    def _take(self) -> Passed:
        value = self._fetch.handover.take()
        if isinstance(value, End):
            self._end, self.result = value, value.result
        return value

    def _raise_unless_whole(self, end: End) -> None:
        if end.result is None:
            assert end.error is not None
            raise end.error
        lacking = None if self._allow_partial else shortfall(end.result)
        if lacking is not None:
            raise IncompleteFetchError(lacking, result=end.result)


def shortfall(result: RunResult) -> str | None:
    """Return in a line what ``result`` lacks of what Mixpanel announced, or None."""
    if result.failed_pages:
        pages = result.failed_page_indices
        listed = ", ".join(map(str, pages[:_LISTED])) + (", ..." if len(pages) > _LISTED else "")
        reasons = [str(failure.error) for failure in result.failures[:1]]
        why = "the fetch was stopped" if result.interrupted else "".join(reasons)
        missing = f"{result.failed_pages:,} of {result.total_pages:,} pages did not come ({listed})"
        advice = "start again, or allow_partial=True to go without"
        return f"{missing}{': ' if why else ''}{why}; {advice}"
    if result.missing_rows > result.allowed_missing:
        return (
            f"{result.missing_rows:,} of the rows that were announced were never sent;"
            f" start again, or allow_missing={result.missing_rows} to go without"
        )
    return None
