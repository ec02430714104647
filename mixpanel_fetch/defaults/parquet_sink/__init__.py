"""The sink ``parquet``: Parquet files, written by DuckDB, on this machine or in an object store.

Columns: ``distinct_id`` VARCHAR, ``properties`` VARCHAR (one JSON object; each value has the bytes
that Mixpanel sent), ``last_seen`` TIMESTAMP (UTC, microseconds). Rows stand in page order, and an
id is there once: of rows that Mixpanel sent twice, that of the later page is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.defaults.parquet_sink.options import ParquetOptions
from mixpanel_fetch.hookspecs import SinkSpec, hookimpl

CAPABILITIES = frozenset({"replace", "keyed", "concurrent"})

__all__ = ["ParquetEngine", "ParquetOptions", "register_sinks"]


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``parquet``."""
    summary = "Parquet files, by DuckDB: on this machine, or s3://, gs://, az:// by load date"
    return [SinkSpec("parquet", ParquetEngine, ParquetOptions, summary, CAPABILITIES)]
