"""The strategy ``gevent-pool``: several pages at once, each in a greenlet of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from marshmallow import Schema, fields, validate

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import StrategySpec, hookimpl
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import PageSource

if TYPE_CHECKING:
    from gevent.queue import Queue

MIXPANEL_LIMIT = 5
"""Queries that Mixpanel answers at once; more are refused with 429."""

log = logging.getLogger("mixpanel_fetch")


class GeventPoolOptions(Schema):
    """``limit``: the most pages asked for at once, whatever number of workers is wanted."""

    limit = fields.Integer(load_default=MIXPANEL_LIMIT, validate=validate.Range(min=1))


@dataclass(frozen=True)
class _Crash:
    """What a greenlet raised. Handed back as a value: gevent prints what leaves a greenlet."""

    error: Exception


class GeventPool:
    """Fetch ``min(max_workers, limit)`` pages at once, in whatever order they come back.

    ``max_workers`` None means as many as ``limit`` allows. ``warnings`` says what was asked for
    and not done. So many pages are in memory and one in the consumer's hands, however slow it is.
    Raises ConfigError for a number below 1.
    """

    def __init__(self, max_workers: int | None = None, limit: int = MIXPANEL_LIMIT) -> None:
        wanted = limit if max_workers is None else max_workers
        if wanted < 1 or limit < 1:
            raise ConfigError("workers and limit must be at least 1")
        self.size = min(wanted, limit)
        self.warnings: tuple[str, ...] = ()
        # Five is what the host asks for when nobody does: a lower limit is then no surprise.
        if wanted > max(limit, MIXPANEL_LIMIT):
            self.warnings = (
                f"{wanted} workers asked for, {limit} used:"
                f" Mixpanel answers {MIXPANEL_LIMIT} queries at once",
            )
            log.warning(self.warnings[0])

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        """Yield each page's outcome once. Closing the iterator kills what is under way.

        The next page is asked for when an outcome is taken, before it is yielded.
        """
        from gevent.pool import Pool
        from gevent.queue import Queue

        pool = Pool(self.size)
        outcomes: Queue[Page | PageFailure | _Crash] = Queue()
        waiting = iter(pages)
        try:
            for index in islice(waiting, self.size):
                pool.spawn(_fetch, source, index, outcomes)
            for _ in pages:
                outcome = outcomes.get()
                for index in islice(waiting, 1):
                    pool.wait_available()  # whoever brought the outcome has yet to leave
                    pool.spawn(_fetch, source, index, outcomes)
                if isinstance(outcome, _Crash):
                    raise outcome.error
                yield outcome
                del outcome
        finally:
            pool.kill()


def _fetch(source: PageSource, index: int, outcomes: Queue[Page | PageFailure | _Crash]) -> None:
    try:
        outcomes.put(source.attempt(index))
    except Exception as error:  # noqa: BLE001  (raised again where it is consumed)
        outcomes.put(_Crash(error))


@hookimpl
def register_strategies() -> Iterable[StrategySpec]:
    """Return the strategy ``gevent-pool``."""
    summary = "several pages at once in greenlets: up to --workers, and never above limit (5)"
    return [StrategySpec("gevent-pool", GeventPool, GeventPoolOptions, summary)]
