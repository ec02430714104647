"""Rows in a form that can be compared, and what differs between two tables of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.testing.cases import Row, SinkCase

Comparable = tuple[str, str, "str | None"]
"""Id, properties as JSON with sorted keys, last_seen: to Python 1, 1.0 and True are equal."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def comparable(row: Row, step: timedelta = timedelta(microseconds=1)) -> Comparable:
    """Return ``row`` as texts, its ``last_seen`` rounded down to a multiple of ``step``."""
    properties = row["properties"]
    assert isinstance(properties, Mapping), (
        "a row's properties must be read back as a dict (parse the JSON in SinkCase.rows),"
        f" not as {type(properties).__name__}"
    )
    text = json.dumps(properties, sort_keys=True, ensure_ascii=False)
    return (
        row["distinct_id"],
        text,
        _instant(row.get("last_seen"), step),
    )


def sent_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch, read by Python's own json."""
    for distinct_id, text, seen in zip(
        batch.distinct_ids, batch.properties, batch.last_seen, strict=True
    ):
        yield {"distinct_id": distinct_id, "properties": json.loads(text), "last_seen": seen}


def expected_rows(pages: Mapping[int, Batch], case: SinkCase, *, keyed: bool) -> list[Comparable]:
    """Return what a table must hold once ``pages`` have landed in it, in any order.

    ``keyed``: of the rows of one id, that of the later page, then the later row.
    """
    rows = [row for index in sorted(pages) for row in sent_rows(pages[index])]
    if keyed:
        rows = list({row["distinct_id"]: row for row in rows}.values())
    return [comparable(_stored(row, case), case.last_seen_step) for row in rows]


def differences(found: Sequence[Comparable], expected: Sequence[Comparable]) -> str:
    """Say in a few words how ``found`` differs from ``expected``; empty if it does not."""
    lacking, extra = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    changed = {row[0] for row in lacking} & {row[0] for row in extra}
    detailed = sorted(changed)[:3]
    parts = [
        f"the row {identity!r} is {_of(identity, extra)}, not {_of(identity, lacking)}"
        for identity in detailed
    ]
    groups = (
        ("rows more are changed", sorted(changed - set(detailed))),
        ("rows missing", sorted(row[0] for row in lacking.elements() if row[0] not in changed)),
        ("rows too many", sorted(row[0] for row in extra.elements() if row[0] not in changed)),
    )
    return "; ".join([*parts, *(f"{len(ids)} {what}: {_few(ids)}" for what, ids in groups if ids)])


def _stored(row: dict[str, Any], case: SinkCase) -> Row:
    row = _replaced(row, case.replaced)
    return row if case.stored is None else case.stored(row)


def _replaced(value: Any, characters: Mapping[str, str]) -> Any:
    if not characters:
        return value
    if isinstance(value, str):
        return "".join(characters.get(character, character) for character in value)
    if isinstance(value, dict):
        return {
            _replaced(key, characters): _replaced(item, characters) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_replaced(item, characters) for item in value]
    return value


def _instant(value: datetime | None, step: timedelta) -> str | None:
    if value is None:
        return None
    seen = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return (_EPOCH + (seen - _EPOCH) // step * step).isoformat()


def _of(identity: str, rows: Iterable[Comparable]) -> str:
    text = next(f"{row[1]} (last_seen {row[2]})" for row in rows if row[0] == identity)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _few(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(one) for one in ids[:20])
    return shown if len(ids) <= 20 else f"{shown}, …"
