"""One object of a store as a target."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

from mixpanel_fetch.defaults.files import exists_already
from mixpanel_fetch.defaults.parquet_sink.rows import rows_in
from mixpanel_fetch.defaults.parquet_sink.store.bucket import Bucket
from mixpanel_fetch.defaults.parquet_sink.store.upload import Upload
from mixpanel_fetch.defaults.parquet_sink.targets import PART, Workshop, folder_of
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode

_SMALL = 64 * 1024  # bytes; a file without rows has a few hundred


class StoreObject:
    """An object that takes the place of what has its key in one step, when it is whole.

    One file holds a whole load, however large: only so is a replaced snapshot never half old, half
    new to a reader. Its row groups are what a cluster shares out.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._upload: Upload | None = None

    def __str__(self) -> str:
        return f"{self._bucket}/{self._key}"

    def check(self, mode: Mode) -> None:
        """Raise ConfigError for a store that cannot be used; TableExistsError."""
        # Looking at a missing object does not tell whether its bucket is there; listing does.
        self._bucket.keys(self._key)
        if mode == "create" and self._bucket.size(self._key) is not None:
            raise exists_already(self)

    def count(self) -> int | None:
        """Return its rows, 1 if it is large, None without it."""
        return self._rows_of(self._key)

    def workshop(self, run_id: str) -> Workshop:
        """Return a directory among the machine's temporary ones."""
        path = Path(tempfile.gettempdir()) / f"mixpanel-fetch-{run_id}"
        return Workshop(path, str(path))

    def publish(self, finished: Path, mode: Mode) -> None:
        """Upload. Raises StorageError, TableExistsError."""
        if mode == "create":
            self.check(mode)
        with self._bucket.translated(f"cannot write {self}", landing=True):
            self._upload = Upload(self._bucket.store, self._key, finished)
            self._upload.run()

    def interrupt(self) -> None:
        """End an upload soon. Called from another thread."""
        if self._upload is not None:
            self._upload.interrupt()

    def _rows_of(self, key: str) -> int | None:
        size = self._bucket.size(key)
        if size is None or size > _SMALL:
            return None if size is None else 1
        with tempfile.TemporaryDirectory(prefix="mixpanel-fetch-") as folder:
            copy = Path(folder) / PART
            copy.write_bytes(self._bucket.read(key))
            return rows_in(copy)


class StorePartition(StoreObject):
    """The object of one load date, below the prefix of its table."""

    def __init__(self, bucket: Bucket, prefix: str, day: date) -> None:
        self._prefix = prefix
        self._folder = "/".join(filter(None, (prefix, folder_of(day))))
        super().__init__(bucket, f"{self._folder}/{PART}")

    def check(self, mode: Mode) -> None:
        """Raise ConfigError for a store or a folder that cannot be used; TableExistsError."""
        keys = self._bucket.keys(self._folder)
        # Readers leave out what begins with a dot or an underscore.
        others = [key for key in keys if key != self._key and _name(key)[0] not in "._"]
        if others:
            raise ConfigError(
                f"{self._bucket}/{self._folder} holds {_name(others[0])}, which is not of"
                " parquet://; move it away"
            )
        if mode == "create" and self._key in keys:
            raise exists_already(self)

    def count(self) -> int | None:
        """Return the rows of the last load date, 1 if they are many, None without any."""
        folders = self._bucket.folders(self._prefix)
        days = [folder for folder in folders if _name(folder).startswith("load_date=")]
        found = (self._rows_of(f"{day}/{PART}") for day in sorted(days, reverse=True))
        return next((rows for rows in found if rows is not None), None)


def _name(key: str) -> str:
    return key.rsplit("/", 1)[-1]
