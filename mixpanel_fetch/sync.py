"""Keeping a table in step with a project: what is wanted, what is known, what is to be done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Literal, get_args

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.filters import F
from mixpanel_fetch.query import ProfileQuery

SyncKind = Literal["full", "incremental"]
Deletion = Literal["mark", "hard", "ignore"]
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class SyncWish:
    """How a user wants a table kept in step. Raises ConfigError for what cannot be.

    ``full``: fetch everything now. Otherwise only what changed since the last time, and
    everything when that was ``full_every`` ago (None: never again). ``overlap``: how much further
    back than the newest profile is asked. ``delete``: what a complete fetch does with profiles
    that are gone. ``max_gone``: which share of the table may go at once. ``history``: keep the
    versions of each profile.
    """

    full: bool = False
    full_every: timedelta | None = WEEK
    overlap: timedelta = HOUR
    delete: Deletion = "mark"
    max_gone: float = 0.5
    history: bool = False

    def __post_init__(self) -> None:
        if self.delete not in get_args(Deletion):
            raise ConfigError(f"delete is one of mark, hard, ignore, not {self.delete!r}")
        if not 0 <= self.max_gone <= 1:
            raise ConfigError("max_gone is a share of the table, 0 to 1 (50% is 0.5)")
        if self.overlap < timedelta(0):
            raise ConfigError("the overlap cannot be negative")
        if self.full_every is not None and self.full_every <= timedelta(0):
            raise ConfigError("full_every must be longer than nothing")


@dataclass(frozen=True)
class SyncState:
    """What a destination remembers of a table that is kept in step.

    ``key`` says with what; ``cursor`` is the largest ``last_seen`` that ever came, ``full_at`` when
    the last complete fetch began, both in UTC; ``history``: whether its versions are kept.
    """

    key: str
    cursor: datetime | None = None
    full_at: datetime | None = None
    history: bool = False

    def after(self, order: SyncOrder, newest: datetime | None, began: datetime) -> SyncState:
        """Return the state after a complete run, whose newest ``last_seen`` was ``newest``.

        A client whose clock is ahead moves the cursor no further than to where the run ``began``:
        nobody else would be seen until then.
        """
        seen = [min(one, began) for one in (self.cursor, newest) if one is not None]
        return SyncState(
            order.key,
            max(seen, default=None),
            began if order.kind == "full" else self.full_at,
            order.history,
        )


@dataclass(frozen=True)
class SyncOrder:
    """What one run is to do: part of its :class:`~mixpanel_fetch.model.RunInfo`.

    ``since``: from when on an incremental run asks, in UTC, the overlap included.
    """

    key: str
    kind: SyncKind
    delete: Deletion = "mark"
    history: bool = False
    since: datetime | None = None

    def text(self) -> str:
        """Return the order as text; :meth:`of_text` reads it."""
        since = None if self.since is None else self.since.isoformat()
        return json.dumps(vars(self) | {"since": since}, sort_keys=True)

    @classmethod
    def of_text(cls, text: str | None) -> SyncOrder | None:
        """Return the order that ``text`` stands for, None for None."""
        if not text:
            return None
        order = cls(**json.loads(text))
        since = order.since and datetime.fromisoformat(str(order.since))
        return replace(order, since=since)

    def query(self, wanted: ProfileQuery) -> ProfileQuery:
        """Return what to ask for: ``wanted``, and of that only what may have changed.

        ``$last_seen`` is a text without a zone. Whether Mixpanel compares it as text, or as an
        instant in the project's time, is not documented: asked for both ways, at worst rows come
        that did not change.
        """
        if self.since is None:
            return wanted
        text = self.since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        last_seen = F("$last_seen")
        recent = (last_seen >= text) | (last_seen >= self.since)
        where = f"({wanted.where}) and ({recent})" if wanted.where else str(recent)
        return replace(wanted, where=where)


def sync_key(fingerprint: Mapping[str, str]) -> str:
    """Return what a table is kept in step with: project, host, query and transforms."""
    parts = [fingerprint[name] for name in ("project", "host", "query", "transforms")]
    return sha256(json.dumps(parts).encode()).hexdigest()[:32]


def order_for(wish: SyncWish, state: SyncState | None, key: str, now: datetime) -> SyncOrder:
    """Return what the next run does. Raises ConfigError where the table follows something else."""
    if state is not None and state.key != key:
        raise ConfigError(
            "the table is kept in step with another query, project or chain of transforms; choose"
            " another table, or begin anew with --replace"
        )
    order = SyncOrder(key, "full", wish.delete, wish.history)
    if wish.full or state is None or state.cursor is None or state.full_at is None:
        return order
    if wish.history and not state.history:
        return order  # the versions begin with every profile that there is
    if wish.full_every is not None and now - state.full_at >= wish.full_every:
        return order
    return replace(order, kind="incremental", since=state.cursor - wish.overlap)
