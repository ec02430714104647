"""What the engine asks of wherever a finished file goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from mixpanel_fetch.model import Mode

PART = "part-0.parquet"
"""The one file of a load date: its name is the same in each run, so that one step replaces it."""

PARTITIONS = ("load_date", "none")
"""What a location may be divided by."""


def folder_of(day: date) -> str:
    """Return the folder of a load date, in Hive's form: its value is a column to readers."""
    return f"load_date={day.isoformat()}"


@dataclass(frozen=True)
class Workshop:
    """The directory, not made yet, where a run makes its file; ``name`` is for messages."""

    path: Path
    name: str


class Target(Protocol):
    """One file to be; ``str`` gives its name in messages."""

    def check(self, mode: Mode) -> None:
        """Raise what would keep it from being written: ConfigError, TableExistsError."""

    def count(self) -> int | None:
        """Return how many rows its table has, None where there is none."""

    def workshop(self, run_id: str) -> Workshop:
        """Return where run ``run_id`` makes the file."""

    def publish(self, finished: Path, mode: Mode) -> None:
        """Make it visible, whole. Raises StorageError, TableExistsError."""

    def interrupt(self) -> None:
        """End :meth:`publish` soon, with a StorageError. Called from another thread."""


class Place(Protocol):
    """A location, which knows where a table's rows go."""

    def target(self, table: str, day: date) -> Target:
        """Return the target of what is loaded into ``table`` on ``day``. Raises ConfigError."""
