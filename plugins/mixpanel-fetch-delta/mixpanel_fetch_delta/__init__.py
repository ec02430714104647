"""The ``delta`` sink: profiles land in Delta Lake tables, in a folder or an object store.

This module is the plugin. Naming it imports neither deltalake nor marshmallow: the engine and the
options load when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixpanel_fetch.hookspecs import SinkSpec, hookimpl

if TYPE_CHECKING:
    from mixpanel_fetch_delta.engine import DeltaEngine as DeltaEngine

CAPABILITIES = frozenset({"append", "replace", "merge", "keyed", "resume", "concurrent", "query"})


def open_sink(location: str, **options: Any) -> DeltaEngine:
    """Return the engine for a folder of tables; nothing is opened yet.

    ``location``: a path, or ``s3://bucket/prefix``. ``options``: those of
    :class:`~mixpanel_fetch_delta.options.DeltaOptions`. Raises ConfigError for what is no place.
    """
    from mixpanel_fetch_delta.engine import DeltaEngine

    return DeltaEngine(location, **options)


@hookimpl
def register_sinks() -> list[SinkSpec]:
    """Register ``delta``."""
    from mixpanel_fetch_delta.options import DeltaOptions

    summary = "a Delta Lake table in a folder or on S3, one transaction a run, resumable"
    return [SinkSpec("delta", open_sink, DeltaOptions, summary, CAPABILITIES)]


def __getattr__(name: str) -> Any:
    # For hosts that make an engine themselves: one import path, and no deltalake until it is used.
    if name == "DeltaEngine":
        from mixpanel_fetch_delta.engine import DeltaEngine

        return DeltaEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
