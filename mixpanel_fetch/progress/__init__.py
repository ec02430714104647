"""How a run shows how far it is: as a bar on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mixpanel_fetch.events import Announcer, Event, Listener
from mixpanel_fetch.progress.bar import Bar as Bar
from mixpanel_fetch.progress.plain import PlainLines as PlainLines
from mixpanel_fetch.progress.watcher import Watcher as Watcher


@contextmanager
def progress_bar(on_event: Listener | None = None) -> Iterator[Listener]:
    """Show a bar on stderr while entered; give what comes out as the ``on_event`` of a fetch.

    Events go to ``on_event``, too.
    """
    announce = Announcer(on_event)
    with Watcher(Bar(sys.stderr)) as watcher:

        def listen(event: Event) -> None:
            watcher(event)
            announce(event)

        yield listen


def bar_is_seen() -> bool:
    """Whether stderr is a terminal that can draw over what it has drawn."""
    terminal = bool(sys.stderr and sys.stderr.isatty())
    return terminal and os.environ.get("TERM", "").lower() not in {"", "dumb", "unknown"}
