"""A location in an object store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mixpanel_fetch.defaults.files import named
from mixpanel_fetch.defaults.parquet_sink.store.bucket import Bucket
from mixpanel_fetch.defaults.parquet_sink.store.settings import StoreSettings
from mixpanel_fetch.defaults.parquet_sink.store.target import StoreObject, StorePartition
from mixpanel_fetch.errors import ConfigError

SCHEMES = ("s3", "gs", "az")


@dataclass(frozen=True)
class StorePlace:
    """``SCHEME://BUCKET/PREFIX``; ``{table}`` in PREFIX stands for the table's name."""

    scheme: str
    bucket: str
    prefix: str
    settings: StoreSettings = field(repr=False)
    partitioned: bool = True

    @classmethod
    def parse(
        cls, scheme: str, path: str, settings: StoreSettings, *, partitioned: bool
    ) -> StorePlace:
        """Take what follows ``SCHEME://`` apart. Raises ConfigError."""
        name, _, prefix = path.partition("/")
        if "@" in name or ":" in name:
            # It may be a secret that stands there, so nothing of it is repeated.
            raise ConfigError(
                f"write {scheme}://BUCKET/PREFIX; credentials come from the environment, a profile"
                " or [plugins.parquet] in the configuration file"
            )
        if not name or "%" in name or "{" in name:
            raise ConfigError(f"{scheme}:// needs a bucket, as in {scheme}://bucket/{{table}}")
        return cls(scheme, name, prefix.rstrip("/"), settings, partitioned)

    def target(self, table: str, day: date) -> StoreObject:
        """Return where the rows of ``table`` go. Raises ConfigError for what is no key."""
        key = named("parquet", self.prefix, table) if self.prefix or not self.partitioned else ""
        segments = key.split("/") if key else []
        if not key.isprintable() or {"", ".", ".."} & set(segments):
            raise ConfigError(f"{key!a} in {self.scheme}://{self.bucket} names no object")
        # One that is opened anew for each run: a pool of connections ends with its run.
        bucket = Bucket(self.scheme, self.bucket, self.settings)
        return StorePartition(bucket, key, day) if self.partitioned else StoreObject(bucket, key)
