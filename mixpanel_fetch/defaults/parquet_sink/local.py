"""``parquet://PATH``: a file on this machine, or a folder with one for each load date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mixpanel_fetch.defaults.files import (
    beside,
    cannot_write,
    check_file,
    check_folder,
    file_of,
    publish,
)
from mixpanel_fetch.defaults.parquet_sink.rows import rows_in
from mixpanel_fetch.defaults.parquet_sink.targets import PART, Workshop, folder_of
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode


@dataclass(frozen=True)
class LocalPlace:
    """A path, percent-encoded; ``{table}`` in it stands for the table's name."""

    location: str
    partitioned: bool = False

    def target(self, table: str, day: date) -> LocalFile:
        """Return where the rows of ``table`` go. Raises ConfigError."""
        path = file_of("parquet", self.location, table)
        return LocalPartition(path, day) if self.partitioned else LocalFile(path)


class LocalFile:
    """A file that is made in a hidden directory beside it and put in its place in one rename."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def check(self, mode: Mode) -> None:
        """Raise ConfigError, TableExistsError."""
        check_file(self._path, mode)

    def count(self) -> int | None:
        """Return its rows, None without it, 1 for what is not Parquet."""
        return rows_in(self._path) if self._path.exists() else None

    def workshop(self, run_id: str) -> Workshop:
        """Return the hidden directory."""
        return Workshop(beside(self._path, run_id), str(self))

    def publish(self, finished: Path, mode: Mode) -> None:
        """Rename. Raises StorageError, TableExistsError."""
        try:
            publish(finished, self._path, mode)
        except OSError as error:
            raise cannot_write(self, error) from error

    def interrupt(self) -> None:
        """Do nothing: a rename does not wait."""


class LocalPartition(LocalFile):
    """The file of one load date, in a folder of its own below the table's.

    It is made beside the table's folder, where no reader of that looks for it.
    """

    def __init__(self, folder: Path, day: date) -> None:
        super().__init__(folder / folder_of(day) / PART)
        self._folder = folder

    def check(self, mode: Mode) -> None:
        """Raise ConfigError, TableExistsError."""
        nearest = self._path.parent
        while nearest != self._folder.parent and not nearest.exists():
            nearest = nearest.parent
        if nearest == self._path.parent:
            self._refuse_strangers()
            check_file(self._path, mode)
        check_folder(nearest, self._path)
        check_folder(self._folder.parent, self._path)

    def _refuse_strangers(self) -> None:
        found = sorted(self._path.parent.glob("[!._]*.parquet"))
        others = [path.name for path in found if path.name != PART]
        if others:
            raise ConfigError(
                f"{self._path.parent} holds {others[0]}, which is not of parquet://; move it away"
            )

    def count(self) -> int | None:
        """Return the rows of the last load date, None without any."""
        days = sorted(self._folder.glob(f"load_date=*/{PART}"))
        return rows_in(days[-1]) if days else None

    def workshop(self, run_id: str) -> Workshop:
        """Return the hidden directory."""
        return Workshop(beside(self._folder, run_id), str(self))

    def publish(self, finished: Path, mode: Mode) -> None:
        """Make the folders that lack, and rename. Raises StorageError, TableExistsError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self, error) from error
        super().publish(finished, mode)
