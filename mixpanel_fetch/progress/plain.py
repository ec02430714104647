"""Progress as plain lines, for files, pipes, and terminals or readers that take no pictures."""

from __future__ import annotations

from collections.abc import Callable

from mixpanel_fetch.progress import words
from mixpanel_fetch.progress.standing import Standing

FIRST = 3.0
EVERY = 5.0


class PlainLines:
    """A :class:`~mixpanel_fetch.progress.watcher.Display`: ``write`` gets a line now and then.

    The first one comes after ``first`` seconds, so that a run which is soon over says nothing, the
    others ``every`` so many; after any, there is one for the end.
    """

    def __init__(
        self, write: Callable[[str], None], *, first: float = FIRST, every: float = EVERY
    ) -> None:
        self.write = write
        self._first = first
        self._every = every
        self._last: float | None = None

    def show(self, standing: Standing, now: float) -> None:
        """Write a line if it is time."""
        due = standing.began + self._first if self._last is None else self._last + self._every
        if now >= due and standing.phase != "ended":
            self._last = now
            self.write(sentence(standing, now))

    def end(self, standing: Standing, now: float) -> None:
        """Write the last line, if there was a first and the run came to an end."""
        if self._last is not None and standing.result is not None:
            self.write(sentence(standing, now))


def sentence(standing: Standing, now: float) -> str:
    """Return the whole state of a run as one line."""
    wait = words.waiting(standing, now)
    if standing.phase == "opening":
        return wait or "waiting for the first page"
    pages = f"{standing.landed:,} of {standing.total_pages:,} pages"
    parts = [pages, *words.facts(standing, now), *words.troubles(standing)]
    return ", ".join(parts) + (f"; {wait}" if wait else "")
