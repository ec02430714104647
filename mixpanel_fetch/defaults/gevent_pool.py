"""The strategy ``gevent-pool``: several pages at once, each in a greenlet of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from marshmallow import Schema, fields, validate

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import StrategySpec, hookimpl
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.protocols import PageSource

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
    and not done. At most twice that many pages are in memory, however slow the consumer is.
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
        """Yield each page's outcome once. Closing the iterator kills what is under way."""
        from gevent.pool import Pool

        pool = Pool(self.size)
        # Room for as many finished pages as are under way, less the one in the consumer's hands:
        # pages come back in bursts, and with less room the next requests would wait for it.
        outcomes = pool.imap_unordered(partial(_outcome, source), pages, maxsize=2 * self.size - 1)
        try:
            for outcome in outcomes:
                if isinstance(outcome, _Crash):
                    raise outcome.error
                yield outcome
        finally:
            outcomes.kill()  # first who fills the pool, then who is in it
            pool.kill()


def _outcome(source: PageSource, index: int) -> Page | PageFailure | _Crash:
    try:
        return source.attempt(index)
    except Exception as error:  # noqa: BLE001  (raised again where it is consumed)
        return _Crash(error)


@hookimpl
def register_strategies() -> Iterable[StrategySpec]:
    """Return the strategy ``gevent-pool``."""
    summary = "several pages at once in greenlets: up to --workers, and never above limit (5)"
    return [StrategySpec("gevent-pool", GeventPool, GeventPoolOptions, summary)]
