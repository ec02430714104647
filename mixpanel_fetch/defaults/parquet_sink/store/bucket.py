"""A bucket, and how its objects are listed, looked at and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mixpanel_fetch.defaults.parquet_sink.store.failures import explained
from mixpanel_fetch.defaults.parquet_sink.store.opening import opened
from mixpanel_fetch.defaults.parquet_sink.store.settings import StoreSettings
from mixpanel_fetch.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class Bucket:
    """Everything here raises ConfigError, or StorageError where it says so."""

    scheme: str
    name: str
    settings: StoreSettings = field(repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}"

    @cached_property
    def store(self) -> ObjectStore:
        """The store, opened when it is first asked for."""
        return opened(self.scheme, self.name, self.settings)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below ``prefix``, a folder."""
        store = self.store
        import obstore

        with self.translated(f"cannot use {self}"):
            chunks = obstore.list(store, prefix=prefix)
            return [one["path"] for chunk in chunks for one in chunk]

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below ``prefix``."""
        store = self.store
        import obstore

        with self.translated(f"cannot use {self}"):
            return list(obstore.list_with_delimiter(store, prefix or None)["common_prefixes"])

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has, None where there is none."""
        store = self.store
        import obstore

        try:
            with self.translated(f"cannot use {self}", but=FileNotFoundError):
                return int(obstore.head(store, key)["size"])
        except FileNotFoundError:
            return None

    def read(self, key: str) -> bytes:
        """Return the whole of a small object."""
        store = self.store
        import obstore

        with self.translated(f"cannot read {self}/{key}"):
            return obstore.get(store, key).bytes().to_bytes()

    @contextmanager
    def translated(
        self, doing: str, *, but: type[Exception] | tuple[()] = (), landing: bool = False
    ) -> Iterator[None]:
        """Turn what obstore raises into one line; ``landing``: into a StorageError.

        Without its cause: obstore quotes addresses, headers and the store's words.
        """
        from obstore.exceptions import BaseError

        try:
            yield
        except but:
            raise
        except (BaseError, OSError, ValueError) as error:
            kind = StorageError if landing else ConfigError
            words = explained(error, self.settings.timeout)
            raise kind(f"{doing}: {words}") from None
