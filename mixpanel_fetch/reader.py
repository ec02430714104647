"""Calls into a destination outside of a fetch: opened in the calling thread, closed after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.plan import Sink
from mixpanel_fetch.protocols import ColumnsEngine, QueryableEngine, ResumableEngine

T = TypeVar("T")


def read(sink: Sink, function: Callable[[QueryableEngine], T]) -> T:
    """Return what ``function`` reads of a destination.

    Raises ConfigError for one that cannot be read, and what reading raises.
    """
    return _ask(
        sink, QueryableEngine, function, "cannot be asked: use one that can, such as duckdb"
    )


def recall(sink: Sink, function: Callable[[ResumableEngine], T]) -> T:
    """Return what ``function`` asks of a destination about its runs. Raises as :func:`read`."""
    return _ask(sink, ResumableEngine, function, "keeps no runs: only one that can resume does")


def show(sink: Sink, function: Callable[[ColumnsEngine], T]) -> T:
    """Return what ``function`` makes of a destination's columns. Raises as :func:`read`."""
    return _ask(
        sink,
        ColumnsEngine,
        function,
        "cannot show properties as columns; duckdb and postgresql can",
    )


def _ask(sink: Sink, kind: type, function: Callable[[Any], T], otherwise: str) -> T:
    if not isinstance(sink.engine, kind):
        raise ConfigError(f"{sink.label} {otherwise}")
    try:
        answer: T = sink.call(function, sink.engine)
    finally:
        sink.call(sink.engine.close)
    return answer
