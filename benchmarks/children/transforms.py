"""What transforms cost, over batches that are decoded before the clock starts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.decode import decode_page
from mixpanel_fetch.defaults.shape import drop
from mixpanel_fetch.protocols import Transform
from mixpanel_fetch.simulator import SyntheticProfiles

_ROWS = 1000


def nothing(batch: Batch) -> Batch:
    """Stand for no transform: what the loop itself costs."""
    return batch


def same_columns(batch: Batch) -> Batch:
    """Return the same columns in a new batch."""
    return Batch(batch.distinct_ids, batch.properties, batch.last_seen)


def same_rows(batch: Batch) -> Batch:
    """Take the batch apart into rows and put it together again."""
    return Batch.from_rows(batch.rows())


def changed_rows(batch: Batch) -> Batch:
    """Set one property of each row."""
    return Batch.from_rows(_changed(batch))


def _changed(batch: Batch) -> Iterator[dict[str, Any]]:
    for row in batch.rows():
        row["properties"]["seen"] = True
        yield row


TRANSFORMS: Mapping[str, Transform] = {
    "none": nothing,
    "columns": same_columns,
    "drop": drop("$email"),
    "rows": same_rows,
    "rows-changed": changed_rows,
}


def run(batches: int) -> dict[str, float]:
    """Give microseconds a row by the name of each transform."""
    profiles = SyntheticProfiles(batches * _ROWS)
    bodies = [_body(profiles, start) for start in range(0, len(profiles), _ROWS)]
    return {name: _cost(function, bodies) for name, function in TRANSFORMS.items()}


def _cost(transform: Transform, bodies: list[bytes]) -> float:
    # Decoded anew for each: no transform finds what another one left behind in a batch.
    batches = [decode_page(body, index).read()[0] for index, body in enumerate(bodies)]
    started = time.perf_counter()
    for batch in batches:
        transform(batch)
    return (time.perf_counter() - started) * 1e6 / (_ROWS * len(batches))


def _body(profiles: SyntheticProfiles, start: int) -> bytes:
    rows = b",".join(profiles.encoded(index) for index in range(start, start + _ROWS))
    head = f'{{"page": 0, "page_size": {_ROWS}, "session_id": "1", "status": "ok", "total": 1,'
    return head.encode() + b'"results": [' + rows + b"]}"
