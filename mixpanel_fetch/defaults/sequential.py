"""The strategy ``sequential``: one page after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mixpanel_fetch.hookspecs import StrategySpec, hookimpl
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import PageSource


class Sequential:
    """Fetch one page at a time, in the order given. ``max_workers`` means nothing here."""

    size = 1

    def __init__(self, max_workers: int | None = None) -> None:
        self.max_workers = max_workers

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        """Yield each page's outcome once; the next page is asked for when the last is consumed."""
        for index in pages:
            yield source.attempt(index)


@hookimpl
def register_strategies() -> Iterable[StrategySpec]:
    """Return the strategy ``sequential``."""
    return [StrategySpec("sequential", Sequential, None, "one page after the other")]
