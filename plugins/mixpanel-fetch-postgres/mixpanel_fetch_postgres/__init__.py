"""The ``postgresql`` sink: profiles land in a table of a PostgreSQL database.

This module is the plugin. Naming it imports neither psycopg nor marshmallow: the engine and the
options load when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixpanel_fetch.hookspecs import SinkSpec, hookimpl

if TYPE_CHECKING:
    from mixpanel_fetch_postgres.engine import PostgresEngine as PostgresEngine

CAPABILITIES = frozenset(
    {
        *("append", "replace", "merge", "keyed", "resume", "query", "sync", "columns"),
        "concurrent",
    }
)


def open_sink(location: str, **options: Any) -> PostgresEngine:
    """Return the engine for a database; nothing is connected yet.

    ``location``: ``user:password@host:port/database`` as in libpq's URIs. ``options``: ``schema``,
    and libpq's connection parameters. Raises ConfigError for what cannot be a connection.
    """
    from mixpanel_fetch_postgres.engine import PostgresEngine

    return PostgresEngine(location, **options)


@hookimpl
def register_sinks() -> list[SinkSpec]:
    """Register ``postgresql``, and ``postgres`` as another name of it."""
    from mixpanel_fetch_postgres.options import PostgresOptions

    return [
        SinkSpec(
            name,
            open_sink,
            options=PostgresOptions,
            summary=summary,
            capabilities=CAPABILITIES,
        )
        for name, summary in (
            ("postgresql", "a table in PostgreSQL, published in one transaction and resumable"),
            ("postgres", "the same as postgresql"),
        )
    ]


def __getattr__(name: str) -> Any:
    # For hosts that make an engine themselves: one import path, and no psycopg until it is used.
    if name == "PostgresEngine":
        from mixpanel_fetch_postgres.engine import PostgresEngine

        return PostgresEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
