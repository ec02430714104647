"""The ``duckdb`` sink: profiles land in a table of a DuckDB file.

This module is the plugin. Naming it imports neither DuckDB nor marshmallow: the engine and the
options load when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixpanel_fetch.hookspecs import SinkSpec, hookimpl

if TYPE_CHECKING:
    from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine

CAPABILITIES = frozenset(
    {"append", "replace", "merge", "keyed", "resume", "query", "sync", "columns"}
)


def open_sink(location: str, **options: Any) -> DuckDBEngine:
    """Return the engine for a file. ``location``: its path, percent-encoded where need be.

    Raises ConfigError for a location that could not keep anything.
    """
    from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
    from mixpanel_fetch.defaults.duckdb_sink.options import path_of

    return DuckDBEngine(path_of(location), **options)


@hookimpl
def register_sinks() -> list[SinkSpec]:
    """Register ``duckdb``."""
    from mixpanel_fetch.defaults.duckdb_sink.options import DuckDBOptions

    return [
        SinkSpec(
            "duckdb",
            open_sink,
            options=DuckDBOptions,
            summary="a table in a DuckDB file, written atomically and resumable",
            capabilities=CAPABILITIES,
        )
    ]


def __getattr__(name: str) -> Any:
    # For hosts that hand in a connection: one import path, and still no DuckDB until it is used.
    if name == "DuckDBEngine":
        from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine

        return DuckDBEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
