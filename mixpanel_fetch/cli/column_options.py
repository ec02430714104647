"""How properties are shown as typed columns, as options of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mixpanel_fetch.cli.completion.types import FILE
from mixpanel_fetch.cli.destination import OpenSink

if TYPE_CHECKING:
    from mixpanel_fetch.typed_columns import ColumnsReport

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--schema",
        type=FILE,
        metavar="FILE",
        help="Which property is in which column; else TABLE.columns.json. Made the first time.",
    ),
    click.option(
        "--on-drift",
        type=click.Choice(["warn", "fail", "evolve"]),
        help="Where properties differ from that file: keep the columns and say so (else this),"
        " exit with 1, or add and widen columns.",
    ),
    click.option(
        "--null-texts",
        is_flag=True,
        help='Take the texts "<null>", "<undefined>", "undefined" and "null" for null.',
    ),
)


def column_options(function: F) -> F:
    """Give a command the options, as keywords."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def keep(sink: OpenSink, table: str, given: dict[str, Any]) -> ColumnsReport:
    """Bring the columns of ``table`` up to date. Raises DriftError, ConfigError."""
    from mixpanel_fetch.typed_columns import NULL_TEXTS, keep_columns

    engine: Any = sink.engine  # a ColumnsEngine: the capability says so
    return sink.call(
        lambda: keep_columns(
            engine,
            table,
            given["schema"],
            view=given.get("view"),
            on_drift=given["on_drift"] or "warn",
            null_texts=NULL_TEXTS if given["null_texts"] else (),
        )
    )


def drift_words(report: ColumnsReport) -> str | None:
    """Return what to say of properties that are no longer as in the schema file, or None."""
    if not report.drift:
        return None
    if report.evolved:
        return f"the columns of {report.view} have followed: {report.drift}"
    return f"{report.view} is as it was; --on-drift evolve would follow: {report.drift}"
