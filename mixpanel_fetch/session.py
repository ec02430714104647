"""What is known of an Engage session once its first page is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngageSession:
    """What page 0 said: how many profiles match, and how the server cuts them into pages.

    ``total`` is None only where nothing can be said of it (:mod:`mixpanel_fetch.idpages`).

    ``asked_page_size`` is what is asked for (None: the server's own), ``page_size`` what the
    server answered with.
    """

    session_id: str | None
    total: int | None
    page_size: int
    asked_page_size: int | None = None

    @property
    def total_pages(self) -> int:
        """How many pages there are; the first is always there, an empty one too."""
        return max(1, -(-(self.total or 0) // self.page_size))

    def rows_due(self, index: int) -> int:
        """How many rows page ``index`` should bring."""
        return max(0, min(self.page_size, (self.total or 0) - index * self.page_size))
