"""What the lake remembers: a record for each run, beside the tables.

The records of runs that can go on stand apart from those of runs that ended, so that a year of
nightly runs does not have to be read to know the first; of the others, a table keeps the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.names import OURS, plain
from mixpanel_fetch_delta.record import INTERRUPTED, Record

KEPT = 100
"""How many ended runs of a table are remembered."""

_RUNS = f"{OURS}/runs"


class Ledger:
    """The records of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def tables(self) -> list[str]:
        """Return the tables that runs are remembered of."""
        return list(self._lake.folders(_RUNS))

    def open(self, table: str) -> list[Record]:
        """Return the runs of a table that may go on, the newest first."""
        names = [name for name, _ in self._lake.files(f"{_RUNS}/{table}/open")]
        return _newest_first(self._read(names))

    def ended(self, table: str) -> list[Record]:
        """Return the runs of a table that are over, the newest first."""
        names = [name for name, _ in self._lake.files(f"{_RUNS}/{table}/ended")]
        return _newest_first(self._read(names))

    def find(self, table: str, run_id: str) -> Record | None:
        """Return a run that may go on, or None."""
        try:
            return Record.from_json(self._lake.read(_open_name(table, run_id)))
        except FileNotFoundError:
            return None

    def keep(self, record: Record) -> None:
        """Store a record in its place: what can go on, what is over."""
        table, run_id = record.info.table, record.info.run_id
        if record.status in INTERRUPTED:
            self._lake.put(_open_name(table, run_id), record.to_json())
            return
        began = record.info.started_at.strftime("%Y%m%dT%H%M%S.%f")
        self._lake.put(f"{_RUNS}/{table}/ended/{began}-{plain(run_id)}.json", record.to_json())
        self._lake.delete([_open_name(table, run_id)])
        self._forget_oldest(table)

    def forget(self, record: Record) -> None:
        """Remove the record of a run that is open."""
        self._lake.delete([_open_name(record.info.table, record.info.run_id)])

    def is_only(self, record: Record) -> bool:
        """Whether no other run is remembered."""
        names = [name for name, _ in self._lake.files(_RUNS)]
        return names == [_open_name(record.info.table, record.info.run_id)]

    def _forget_oldest(self, table: str) -> None:
        names = sorted(name for name, _ in self._lake.files(f"{_RUNS}/{table}/ended"))
        self._lake.delete(names[:-KEPT])

    def _read(self, names: Iterable[str]) -> Iterator[Record]:
        for name in names:
            text = self._text(name)
            if text is not None:
                yield Record.from_json(text)

    def _text(self, name: str) -> bytes | None:
        try:
            return self._lake.read(name)
        except FileNotFoundError:  # it ended meanwhile
            return None


def _open_name(table: str, run_id: str) -> str:
    return f"{_RUNS}/{table}/open/{plain(run_id)}.json"


def _newest_first(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda one: one.info.started_at, reverse=True)
