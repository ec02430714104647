"""``mp sql``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.answering import FORMS
from mixpanel_fetch.cli.destination import OpenSink, destination_option, opened
from mixpanel_fetch.cli.output import Output

if TYPE_CHECKING:
    from mixpanel_fetch.protocols import Answer

_AT_ONCE = 1_000  # rows


@click.command(name="sql")
@click.argument("query", required=False)
@destination_option
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    help="How to write the rows: a table on a terminal, JSON otherwise.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many rows a table shows. JSON and CSV have them all.",
)
@click.pass_obj
def command(
    output: Output, /, query: str | None, destination: str | None, form: str | None, limit: int
) -> None:
    """Ask a destination QUERY, one statement in its own SQL that only reads.

    Without QUERY, or with -, it is read from stdin.
    """
    form = form or ("json" if output.form == "json" else "table")
    output.form = "json" if form == "json" else "text"
    statement = _from_stdin() if query in (None, "-") else str(query)
    with opened(destination, "query") as sink:
        answer = sink.ask("query", statement)
        rows = _rows(sink, answer)
        # What fails at once has written nothing yet.
        first = list(islice(rows, 1))
        FORMS[form](output, answer, chain(first, rows), limit)


def _rows(sink: OpenSink, answer: Answer) -> Iterator[tuple[Any, ...]]:
    rows = iter(answer)
    while piece := sink.call(lambda: list(islice(rows, _AT_ONCE))):
        yield from piece


def _from_stdin() -> str:
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError("give a QUERY, or pipe one in")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise click.UsageError("the query on stdin is not text in UTF-8") from None
