"""A Delta table: whether one is there, whether it can take profiles, and commits to it.

A commit names the files that come and those that go. It is made against the version that was read,
or not at all: whoever else has committed meanwhile has to be looked at first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.exceptions import TableNotFoundError as NoDeltaTable
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from mixpanel_fetch.errors import ConfigError, TableExistsError, TableNotFoundError
from mixpanel_fetch.model import Mode
from mixpanel_fetch_delta.bench import ParquetFile
from mixpanel_fetch_delta.lake import Lake

TYPES = {"distinct_id": "string", "properties": "string", "last_seen": "timestamp"}
"""Delta's ``timestamp`` is an instant in UTC, and unlike ``timestamp_ntz`` asks for no feature that
a reader may lack."""

_SCHEMA = Schema([Field(name, PrimitiveType(kind)) for name, kind in TYPES.items()])
_SETTINGS = {
    # A reader reads the last checkpoint and what came after it.
    "delta.checkpointInterval": "10",
    "delta.logRetentionDuration": "interval 30 days",
}
_BARRED = (
    ("delta.appendOnly", "true", "it is append-only"),
    ("delta.columnMapping.mode", "name", "its columns are mapped to other names"),
    ("delta.columnMapping.mode", "id", "its columns are mapped to other names"),
    ("delta.enableRowTracking", "true", "its rows are tracked"),
)
_APP = "mixpanel-fetch"
_EPOCH = datetime(1970, 1, 1)


class ConflictError(Exception):
    """Somebody else has committed since the table was read."""


@dataclass(frozen=True)
class TableFile:
    """A file of a table: its path within the table, bytes, and rows (None: nobody has noted)."""

    path: str
    size: int
    rows: int | None


@dataclass(frozen=True)
class NewFile:
    """A file that stands in the table's folder already, to be named in a commit."""

    path: str
    made: ParquetFile


class Table:
    """The table ``name`` of a lake."""

    def __init__(self, lake: Lake, name: str) -> None:
        self._lake, self.name = lake, name
        self.label = f"{lake.label}/{name}"

    def find(self) -> Version | None:
        """Return the newest version, None where there is no table."""
        if not self._lake.folders(self.name):
            return None
        try:
            return Version(DeltaTable(self._lake.url(self.name), storage_options=self._options()))
        except NoDeltaTable:
            return None

    def admit(self, mode: Mode) -> Version | None:
        """Return the newest version if ``mode`` can be done to it, None where there is no table.

        Raises TableExistsError, TableNotFoundError, or ConfigError for what cannot take part.
        """
        version = self.find()
        if version is None:
            stranger = self._lake.first_file(self.name)
            if stranger is not None:
                raise ConfigError(
                    f"{self.label} holds files (such as {stranger.rpartition('/')[2]}) and no Delta"
                    " table; choose another table name, or move them away"
                )
            if mode == "append":
                raise TableNotFoundError(
                    f"there is no table {self.label}; leave out --append, or use --merge"
                )
            return None
        if mode == "create":
            raise TableExistsError(f"table {self.label} exists; use --append, --merge or --replace")
        version.require_profiles(self.label)
        return version

    def create(self, files: Sequence[NewFile], commit: CommitProperties, keep: float) -> None:
        """Commit the first version. Raises ConflictError where somebody else has."""
        kept = {"delta.deletedFileRetentionDuration": f"interval {max(1, round(keep * 24))} hours"}
        try:
            create_table_with_add_actions(
                self._lake.url(self.name),
                _SCHEMA,
                [_added(one) for one in files],
                mode="error",
                storage_options=self._options(),
                configuration={**_SETTINGS, **kept},
                commit_properties=commit,
            )
        except CommitFailedError:
            raise ConflictError from None
        except DeltaError as error:
            if "already exists" in str(error):
                raise ConflictError from None
            raise

    def _options(self) -> dict[str, str] | None:
        options = self._lake.storage_options
        return None if options is None else dict(options)


class Version:
    """A version of a table, as it was read."""

    def __init__(self, delta: DeltaTable) -> None:
        self.delta = delta

    def files(self) -> list[TableFile]:
        """Return the files of this version."""
        actions = self.delta.get_add_actions(flatten=True)
        columns = (
            actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records")
        )
        return [TableFile(*one) for one in zip(*columns, strict=True)]

    def rows(self) -> int:
        """Return how many rows this version has."""
        counted = [one.rows for one in self.files()]
        if None in counted:
            return int(self.delta.count())
        return sum(rows or 0 for rows in counted)

    def columns(self) -> list[tuple[str, str]]:
        """Return the columns with Delta's names of their types."""
        return [(field.name, _type(field)) for field in self.delta.schema().fields]

    def commits_of(self, run_id: str) -> int:
        """Return how many commits of a run are in the table."""
        return self.delta.transaction_version(_app(run_id)) or 0

    def require_profiles(self, label: str) -> None:
        """Raise ConfigError unless our files can stand among those of this table."""
        found = dict(self.columns())
        settings = self.delta.metadata().configuration
        reason = ""
        for column, wanted in TYPES.items():
            if found.get(column) != wanted:
                has = f"is {found[column]}" if column in found else "is missing"
                reason = f"column {column} {has}, it must be {wanted}"
                break
        more = [name for name in found if name not in TYPES]
        if not reason and more:
            reason = f"it has the column {more[0]}, of which Mixpanel says nothing"
        if not reason and self.delta.metadata().partition_columns:
            reason = "it is partitioned"
        for key, value, words in _BARRED:
            if not reason and str(settings.get(key, "")).lower() == value:
                reason = words
        if not reason and any(key.startswith("delta.constraints.") for key in settings):
            reason = "it has constraints"
        if not reason and any("://" in one.path for one in self.files()):
            reason = "its files are those of another table"
        if not reason and self.delta.deletion_vectors().read_all().num_rows:
            reason = "it has deletion vectors; run REORG TABLE ... APPLY (PURGE) first"
        if reason:
            raise ConfigError(f"table {label} cannot take profiles: {reason}")

    def commit(
        self,
        new: Sequence[NewFile],
        old: Sequence[TableFile],
        properties: CommitProperties,
        *,
        same_rows: bool = False,
    ) -> None:
        """Commit files that come and files that go. Raises ConflictError.

        ``same_rows``: nothing has changed but how the rows are spread over files.
        """
        now = _milliseconds()
        actions: list[AddAction | RemoveAction] = [_added(one, not same_rows) for one in new]
        actions += [
            RemoveAction(
                path=one.path,
                data_change=not same_rows,
                deletion_timestamp=now,
                size=one.size,
                partition_values={},
            )
            for one in old
        ]
        try:
            self.delta.create_write_transaction(
                actions, "append", self.delta.schema(), commit_properties=properties
            )
        except CommitFailedError:
            raise ConflictError from None


def properties_of(run_id: str, number: int, told: Mapping[str, Any]) -> CommitProperties:
    """Return what a commit of a run carries: who made it, so that a resume can tell.

    ``told``: what the table's history says of it.
    """
    return CommitProperties(
        custom_metadata={"mixpanelFetch": dict(told)},
        # Once, against the version that was read: a retry would not see what others have changed.
        max_commit_retries=0,
        app_transactions=[Transaction(_app(run_id), number)],
    )


def maintenance() -> CommitProperties:
    """Return what a commit carries that puts files together."""
    told = {"mixpanelFetch": {"does": "puts small files together"}}
    return CommitProperties(custom_metadata=told, max_commit_retries=0)


def _app(run_id: str) -> str:
    return f"{_APP}/{run_id}"


def _type(field: Any) -> str:
    return str(getattr(field.type, "type", field.type))


def _added(file: NewFile, data_change: bool = True) -> AddAction:
    made = file.made
    stats: dict[str, Any] = {"numRecords": made.rows, "nullCount": {"last_seen": made.unseen}}
    if made.seen is not None:
        first, last = made.seen
        # Delta notes instants in milliseconds: rounded so that the bounds still hold.
        stats["minValues"] = {"last_seen": _instant(first // 1000)}
        stats["maxValues"] = {"last_seen": _instant(-(-last // 1000))}
    return AddAction(
        path=file.path,
        size=made.size,
        partition_values={},
        modification_time=_milliseconds(),
        data_change=data_change,
        stats=json.dumps(stats),
    )


def _instant(milliseconds: int) -> str:
    instant = _EPOCH + timedelta(milliseconds=milliseconds)
    return instant.isoformat(timespec="milliseconds") + "Z"


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
