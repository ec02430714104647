"""One page of a result as the fields of its answer, and the faults that falsify it."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from mixpanel_fetch.simulator.config import Presence, SimulatorConfig
from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.messages import JSON_TYPE, Answer
from mixpanel_fetch.simulator.selection import Selection

# What "wrong_type" puts in the place of a field.
_WRONG: Mapping[str, bytes] = {
    "page": b'"zero"',
    "page_size": b"null",
    "session_id": b"[12]",
    "status": b"false",
    "total": b'"many"',
    "results": b"{}",
}


@dataclass(frozen=True)
class PageOf:
    """A page of a selection: its index, how many rows a page has, and which properties."""

    selection: Selection
    session_id: str
    index: int
    size: int
    names: frozenset[str] | None


class PageCache:
    """Encoded rows of pages, the latest used up to a number of bytes. Safe from any thread.

    It is there so that a benchmark that runs twice does not measure the simulator.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._rows: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0

    def rows(
        self, selection: Selection, start: int, stop: int, names: frozenset[str] | None
    ) -> bytes:
        """Give the rows from `start` to before `stop` as JSON texts with commas between."""
        key = (selection.key, start, stop, names)
        with self._lock:
            if key in self._rows:
                self._rows.move_to_end(key)
                return self._rows[key]
        rows = b",".join(selection.texts(start, stop, names))
        with self._lock:
            self._bytes += len(rows) - len(self._rows.pop(key, b""))
            self._rows[key] = rows
            while self._bytes > self._max_bytes:
                _, dropped = self._rows.popitem(last=False)
                self._bytes -= len(dropped)
        return rows


def page_fields(
    config: SimulatorConfig, page: PageOf, fault: Fault | None, cache: PageCache
) -> dict[str, bytes]:
    """Give the fields of a page's answer as JSON texts, in their order."""
    index = page.index + (fault is not None and fault.kind == "wrong_page")
    slices = _slices(page, index, fault)
    rows = sum(stop - start for start, stop in slices)
    total = len(page.selection) if config.total_counts == "matches" else rows
    parts = [cache.rows(page.selection, start, stop, page.names) for start, stop in slices]
    fields = {
        "page": _text(index),
        "page_size": _text(page.size),
        "session_id": _text(page.session_id),
        "status": _text("ok"),
        "total": _text(total),
        "results": b"".join((b"[", b",".join(part for part in parts if part), b"]")),
    }
    if not _is_present(config.page_size_on, page.index):
        del fields["page_size"]
    if not _is_present(config.total_on, page.index):
        del fields["total"]
    return _falsified(fields, fault)


def page_answer(fields: Mapping[str, bytes]) -> Answer:
    """Give the fields as an answer."""
    pieces = [b"{"]
    for name, value in fields.items():
        pieces += (_text(name), b": ", value, b", ")
    pieces[-1] = b"}"
    return Answer(200, b"".join(pieces), {"Content-Type": JSON_TYPE})


def _slices(page: PageOf, index: int, fault: Fault | None) -> list[tuple[int, int]]:
    start = min(index * page.size, len(page.selection))
    stop = min(start + page.size, len(page.selection))
    kind = fault.kind if fault else ""
    rows = min(fault.rows, stop - start) if fault else 0
    if kind == "empty":
        return []
    if kind == "short":
        return [(start, stop - rows)]
    if kind == "duplicates" and index > 0:
        earlier = start - page.size
        return [(earlier, earlier + rows), (start + rows, stop)]
    if kind == "duplicates":
        return [(start, start + rows), (start, stop - rows)]
    return [(start, stop)]


def _falsified(fields: dict[str, bytes], fault: Fault | None) -> dict[str, bytes]:
    if fault is None:
        return fields
    if fault.kind == "missing_field":
        fields.pop(fault.field, None)
    if fault.kind == "wrong_type" and fault.field in fields:
        fields[fault.field] = _WRONG.get(fault.field, b"null")
    if fault.kind == "big":
        fields["padding"] = b'"' + b"x" * fault.size + b'"'
    return fields


def _is_present(presence: Presence, index: int) -> bool:
    return presence == "all" or (presence == "first" and index == 0)


def _text(value: object) -> bytes:
    return json.dumps(value).encode("ascii")
