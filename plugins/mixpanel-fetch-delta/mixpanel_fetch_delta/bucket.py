"""A lake in a bucket of an S3-compatible object store, through obstore."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from mixpanel_fetch.secret import Secret
from mixpanel_fetch_delta import failures
from mixpanel_fetch_delta.names import is_file_of_ours
from mixpanel_fetch_delta.options import secrets_of

# Enough for a store that is busy, and not minutes for an address where nobody is.
_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_TRUE = ("true", "1", "yes")


class BucketLake:
    """A :class:`~mixpanel_fetch_delta.lake.Lake` below ``s3://bucket/prefix``.

    ``storage``: what the user said of the store; the rest comes from the AWS environment.
    """

    def __init__(self, url: str, storage: Mapping[str, Secret]) -> None:
        self._url = url
        self._storage = storage
        self._store: Any = None
        self.label = url

    @property
    def storage_options(self) -> Mapping[str, str]:
        """What deltalake has to know of the store; it reads the environment itself."""
        return {f"aws_{name}": secret.reveal() for name, secret in self._storage.items()}

    def open(self, mode: str) -> None:
        """Ask the store for a listing: whether it is there, and who asks."""
        secrets = secrets_of(self._storage)
        with failures.translated(f"cannot use {self._url}", opening=True, secrets=secrets):
            obstore.list_with_delimiter(self._opened())

    def url(self, name: str) -> str:
        """As in Lake."""
        return f"{self._url}/{name}"

    def folders(self, name: str) -> Sequence[str]:
        """As in Lake."""
        found = obstore.list_with_delimiter(self._opened(), name or None)
        return sorted(prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"])

    def files(self, name: str) -> Sequence[tuple[str, int]]:
        """As in Lake."""
        pages = obstore.list(self._opened(), f"{name}/")
        return sorted((one["path"], one["size"]) for page in pages for one in page)

    def first_file(self, name: str) -> str | None:
        """As in Lake."""
        for page in obstore.list(self._opened(), f"{name}/"):
            for one in page:
                if not is_file_of_ours(one["path"].rpartition("/")[2]):
                    return str(one["path"])
        return None

    def read(self, name: str) -> bytes:
        """As in Lake."""
        return bytes(obstore.get(self._opened(), name).bytes())

    def put(self, name: str, data: bytes) -> None:
        """As in Lake."""
        obstore.put(self._opened(), name, data)

    def upload(self, path: Path, name: str) -> None:
        """As in Lake: in several pieces where it is large. The local file stays, as a copy."""
        obstore.put(self._opened(), name, path)
        copy = path.with_name(name.rpartition("/")[2])
        if copy != path:
            path.replace(copy)

    def copy(self, source: str, target: str) -> None:
        """As in Lake; the store does it, nothing goes over the network."""
        obstore.copy(self._opened(), source, target)

    def delete(self, names: Iterable[str]) -> None:
        """As in Lake."""
        listed = list(names)
        if listed:
            obstore.delete(self._opened(), listed)

    def local(self, name: str, workshop: Path) -> Path:
        """As in Lake: what was made here, or is fetched now, a piece at a time."""
        path = workshop / name.rpartition("/")[2]
        if not path.exists():
            fetching = path.with_name(f"{path.name}.fetching")
            with fetching.open("wb") as file:
                for piece in obstore.get(self._opened(), name).stream(min_chunk_size=4_000_000):
                    file.write(piece)
            fetching.replace(path)
        return path

    def workshop(self, run_id: str) -> Path:
        """As in Lake: a temporary folder that only its owner can enter."""
        return Path(tempfile.mkdtemp(prefix="mixpanel-fetch-delta-"))

    def leave(self, workshop: Path) -> None:
        """As in Lake."""
        shutil.rmtree(workshop, ignore_errors=True)

    def _opened(self) -> Any:
        if self._store is None:
            config: dict[str, Any] = {
                name: secret.reveal()
                for name, secret in self._storage.items()
                if name != "allow_http"
            }
            allowed = self._storage.get("allow_http")
            client: Any = {"allow_http": allowed is not None and allowed.reveal() in _TRUE}
            self._store = S3Store.from_url(
                self._url, client_options=client, retry_config=_RETRIES, **config
            )
        return self._store
