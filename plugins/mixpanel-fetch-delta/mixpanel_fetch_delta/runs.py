"""The runs of a lake: which can go on, what a crash has left in doubt, and how one is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import RunInfo, RunRecord
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.landed import Landed, look, notes
from mixpanel_fetch_delta.ledger import Ledger
from mixpanel_fetch_delta.record import INTERRUPTED, Record
from mixpanel_fetch_delta.staging import drop_staging
from mixpanel_fetch_delta.table import Table


class Runs:
    """The runs of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._ledger = Ledger(lake)

    def all(self) -> list[RunRecord]:
        """Return every run that is remembered, the newest first."""
        told = [one for table in self._ledger.tables() for one in self._of(table)]
        return sorted(told, key=lambda one: one.info.started_at, reverse=True)

    def interrupted(self, table: str) -> RunInfo | None:
        """Return the run of a table that can go on, or None. Changes nothing."""
        for record in self._ledger.open(table):
            known = self._known(record)
            if known.status in INTERRUPTED and self._can_go_on(known):
                return known.info
        return None

    def settle(self, table: str) -> list[Record]:
        """Return the runs of a table that can go on, the newest first, and end the others.

        What a crash left between a commit and its note is noted now.
        """
        settled = []
        for record in self._ledger.open(table):
            known = self._known(record)
            if known is not record:
                self._end(known)
            if known.status not in INTERRUPTED:
                continue
            if self._can_go_on(known):
                settled.append(known)
            else:
                self.drop(known)
        return settled

    def discard(self, run_id: str) -> None:
        """Drop an interrupted run. What it published stays. Raises ConfigError."""
        for table in self._ledger.tables():
            record = self._ledger.find(table, run_id)
            known = record and self._known(record)
            if known and known.status in INTERRUPTED:
                return self.drop(known)
        raise ConfigError(f"there is no interrupted run {run_id}; `mp runs` lists them")

    def drop(self, record: Record) -> None:
        """Drop what a run has staged; it is over."""
        self._ledger.keep(record.ended("aborted"))
        drop_staging(self._lake, record.places)

    def _of(self, table: str) -> Iterator[RunRecord]:
        over = set()
        for record in self._ledger.ended(table):
            over.add(record.info.run_id)
            yield record.told(frozenset(), {})
        for record in self._ledger.open(table):
            if record.info.run_id not in over:
                known = self._known(record)
                # After a commit, what is still staged is in the table.
                landed = look(self._lake, record.places) if known is record else Landed()
                said = notes(self._lake, record.places, landed.noted)
                yield known.told(frozenset(landed.pages), said)

    def _known(self, record: Record) -> Record:
        """Return the record as the table tells: a commit may have been made and not noted."""
        if record.intent is None:
            return record
        version = Table(self._lake, record.info.table).find()
        if version is None or version.commits_of(record.info.run_id) < record.intent.number:
            return record
        return record.as_committed()

    def _end(self, committed: Record) -> None:
        said = notes(self._lake, committed.places, look(self._lake, committed.places).noted)
        self._ledger.keep(replace(committed, notes={**committed.notes, **said}))
        drop_staging(self._lake, committed.places)

    def _can_go_on(self, record: Record) -> bool:
        # What was published of it is in the table, and the table may have been dropped.
        return not record.published or Table(self._lake, record.info.table).find() is not None
