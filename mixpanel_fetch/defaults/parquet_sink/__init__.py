"""The sink ``parquet``: Parquet files, written by DuckDB, on this machine or in an object store.

Columns: ``distinct_id`` VARCHAR, ``properties`` VARCHAR (one JSON object; each value has the bytes
that Mixpanel sent), ``last_seen`` TIMESTAMP (UTC, microseconds). Rows stand in page order, and an
id is there once: of rows that Mixpanel sent twice, that of the later page is kept.

This module is the plugin; the engine loads when a location is opened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.defaults.parquet_sink.options import ParquetOptions
from mixpanel_fetch.hookspecs import SinkSpec, hookimpl

if TYPE_CHECKING:
    from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine

CAPABILITIES = frozenset({"replace", "keyed", "concurrent"})


def open_sink(location: str, **options: Any) -> ParquetEngine:
    """Return the engine for ``location``. Raises ConfigError for one that names nothing."""
    from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine

    return ParquetEngine(location, **options)


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``parquet``."""
    summary = "Parquet files, by DuckDB: on this machine, or s3://, gs://, az:// by load date"
    return [SinkSpec("parquet", open_sink, ParquetOptions, summary, CAPABILITIES)]
