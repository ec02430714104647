"""Sessions: the results of first pages, kept for the pages that follow."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.queries import EngageQuery, uncached_query
from mixpanel_fetch.simulator.selection import Selection

# More than any client keeps open; the oldest make room.
MAX_SESSION_IDS = 10_000


@dataclass
class Session:
    """One result set. `expires`: whether the configured end of life applies to it."""

    binding: tuple[tuple[str, str], ...]
    page_size: int
    selection: Selection
    opened: float
    expires: bool
    requests: int = 0


class Sessions:
    """The sessions by id. Safe to use from any thread. `clock` gives seconds."""

    def __init__(self, config: SimulatorConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._by_id: OrderedDict[str, Session] = OrderedDict()
        self._opened = 0

    def open(self, query: EngageQuery, page_size: int, selection: Selection) -> str:
        """Keep a result and give the id of its session."""
        now = self._clock()
        with self._lock:
            repeats = self._config.session_expiry_repeats
            expires = repeats is None or self._opened < repeats
            self._opened += 1
            session = Session(query.binding, page_size, selection, now, expires)
            return self._name(session)

    def find(self, query: EngageQuery) -> tuple[str, Session]:
        """Give the session that a query names, and the id its answer shall carry.

        Raises ApiError (400) if it is unknown, expired, or bound to other parameters.
        """
        now = self._clock()
        session_id = query.session_id or ""
        with self._lock:
            session = self._by_id.get(session_id)
            if session is None or session.binding != query.binding:
                raise uncached_query()
            if self._is_over(session, now):
                raise uncached_query()
            session.requests += 1
            if self._config.session_id_changes:
                session_id = self._name(session)
            return session_id, session

    def _is_over(self, session: Session, now: float) -> bool:
        ttl, most = self._config.session_ttl, self._config.session_pages
        return session.expires and (
            (ttl is not None and now - session.opened >= ttl)
            or (most is not None and session.requests >= most)
        )

    def _name(self, session: Session) -> str:
        # Random, so that no session of another run of the simulator is taken for one of this.
        session_id = f"{int(session.opened)}-{secrets.token_hex(4).upper()}"
        self._by_id[session_id] = session
        if len(self._by_id) > MAX_SESSION_IDS:
            self._by_id.popitem(last=False)
        return session_id
