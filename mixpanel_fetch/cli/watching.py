"""What a person or a log sees of a run while it goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Literal

from mixpanel_fetch.cli.entries import EntryWriter, PageLines
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.events import Event, Listener
from mixpanel_fetch.progress import Bar, PlainLines, Watcher, bar_is_seen

Progress = Literal["auto", "plain", "none"]


@contextmanager
def watched(output: Output, progress: Progress, *, quiet: bool = False) -> Iterator[Listener]:
    """While entered, show a run on stderr; yields what to give as ``on_event``.

    A bar where one can be drawn, else plain lines; with a log in JSON an entry for each event.
    Other lines of the log go above the bar.
    """
    log = output.log
    if log.form == "json":
        yield EntryWriter(log, quiet=quiet)
        return
    with ExitStack() as stack:
        listeners: list[Listener] = [PageLines(log)] if output.verbose >= 2 else []
        kind = _kind(output, "none" if quiet else progress)
        if kind == "bar":
            bar = stack.enter_context(Watcher(Bar(sys.stderr)))
            stack.enter_context(log.through(bar.write))
            listeners.append(bar)
        elif kind == "plain":
            listeners.append(stack.enter_context(Watcher(PlainLines(log.say))))
        yield partial(_tell, listeners)


def _tell(listeners: Iterable[Listener], event: Event) -> None:
    for listener in listeners:
        listener(event)


def _kind(output: Output, progress: Progress) -> str:
    if progress != "auto":
        return progress
    if not bar_is_seen():
        return "plain"
    # Rows that run through the same terminal are progress enough.
    rows_are_seen = output.stdout_is_taken and sys.stdout.isatty()
    return "none" if rows_are_seen else "bar"
