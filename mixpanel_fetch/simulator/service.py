"""The API itself: from a request to its answer, with no socket in sight."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mixpanel_fetch.simulator.cohorts import cohorts_answer
from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.credentials import authorize
from mixpanel_fetch.simulator.fault_answers import answer_of, spoiled
from mixpanel_fetch.simulator.faults import ANSWER_KINDS, Fault, FaultScript
from mixpanel_fetch.simulator.limits import Limits
from mixpanel_fetch.simulator.messages import Answer, ApiError, Request
from mixpanel_fetch.simulator.pages import PageCache, PageOf, page_answer, page_fields
from mixpanel_fetch.simulator.population import Population, Profile
from mixpanel_fetch.simulator.queries import EngageQuery, read_query
from mixpanel_fetch.simulator.selection import Selection, Shuffled, scope_of, select
from mixpanel_fetch.simulator.sessions import Sessions
from mixpanel_fetch.simulator.stats import Traffic, Visit
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

# The documented path takes POST only, the older one GET too (facts sheet 1.1, 1.4).
METHODS: Mapping[str, frozenset[str]] = {
    "/api/query/engage": frozenset({"POST"}),
    "/api/2.0/engage": frozenset({"GET", "POST"}),
    "/api/query/cohorts/list": frozenset({"POST"}),
    "/api/2.0/cohorts/list": frozenset({"GET", "POST"}),
}

# What the server answers before it counts a query (facts sheet 5.6).
_UNCOUNTED = frozenset({401, 402, 403, 429})


@dataclass(frozen=True)
class Reply:
    """What to send: an answer, the fault that spoils its sending, and its age when it goes out.

    `latency` counts in seconds from the arrival of the request. `gather`: how many requests are
    to have been in flight at once by then.
    """

    answer: Answer
    fault: Fault | None = None
    latency: float = 0.0
    gather: int = 0


class EngageService:
    """One simulated project. Safe to use from any thread.

    `clock` gives the time in Unix seconds to sessions, to the hourly limit and to `NOW`.
    """

    def __init__(
        self, config: SimulatorConfig, traffic: Traffic, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._traffic = traffic
        self._clock = clock
        self._faults = FaultScript(config.faults)
        self._limits = Limits(config, clock)
        self._sessions = Sessions(config, clock)
        self._cache = PageCache(config.cache_bytes)
        self._groups = {name: Population(rows) for name, rows in config.groups.items()}
        self._users = _users_of(config)
        self._shuffles = itertools.count(1)

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Put other faults in force."""
        self._faults.replace(faults)

    def set_profiles(self, profiles: int | Sequence[Profile]) -> None:
        """Put other profiles in place; open sessions keep theirs if `snapshot` is set."""
        self._users = _users_of(replace(self._config, profiles=profiles))

    def reply(self, request: Request, visit: Visit) -> Reply:
        """Answer a request; what is learned about it goes to its visit.

        If the visit is `running` afterwards, `release` must follow.
        """
        try:
            _check_route(request)
            visit.page, visit.session_id = request.page, request.session_id
            authorize(self._config, request)
            fault = self._faults.strike(visit.page)
            visit.fault = fault.kind if fault else None
            if fault and fault.code in _UNCOUNTED:
                return Reply(answer_of(fault, request, self._limits), fault)
            in_session = visit.session_id is not None
            self._limits.admit(in_session=in_session)
        except ApiError as error:
            return Reply(error.answer(request.url))
        visit.running = True
        visit.counted = self._limits.counts(in_session=in_session)
        latency = self._config.page_latency.get(visit.page or 0, self._config.latency)
        gather = self._config.gather if in_session else 0
        return Reply(self._admitted(request, fault), fault, latency, gather)

    def release(self, visit: Visit) -> None:
        """Give back the place of a running request among those at once."""
        self._limits.release(in_session=visit.session_id is not None)

    def _admitted(self, request: Request, fault: Fault | None) -> Answer:
        if fault and fault.kind in ANSWER_KINDS:
            return answer_of(fault, request, self._limits)
        try:
            answer = self._answer(request, fault)
        except ApiError as error:
            return error.answer(request.url)
        if self._config.gzip and _takes_gzip(request):
            body = gzip.compress(answer.body, compresslevel=1)
            answer = replace(answer, body=body).with_headers({"Content-Encoding": "gzip"})
        return spoiled(answer, fault) if fault else answer

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        if request.path.endswith("/cohorts/list"):
            return cohorts_answer(self._config)
        page = self._page(read_query(self._config, request))
        return page_answer(page_fields(self._config, page, fault, self._cache))

    def _page(self, query: EngageQuery) -> PageOf:
        size = self._config.page_size if query.page_size is None else query.page_size
        if query.session_id is None:
            selection = self._select(query)
            session_id = self._sessions.open(query, size, selection)
            self._traffic.session_opened()
            return PageOf(selection, session_id, query.page, size, query.output_properties)
        session_id, session = self._sessions.find(query)
        size = session.page_size if query.page_size is None else query.page_size
        selection = session.selection if self._config.snapshot else self._select(query)
        return PageOf(selection, session_id, query.page, size, query.output_properties)

    def _select(self, query: EngageQuery) -> Selection:
        population = self._population(query)
        cohort = None
        if query.cohort_id is not None:
            cohort = self._config.cohorts.get(query.cohort_id)
            if cohort is None:
                raise ApiError(400, f"cohort {query.cohort_id} does not exist")
        order: Sequence[int] = range(len(population))
        if self._config.order == "shuffled":
            order = Shuffled(len(population), seed=next(self._shuffles))
        scope = partial(scope_of, now=self._clock(), utc_offset=self._config.utc_offset * 3600)
        return select(query, population, cohort, order, scope)

    def _population(self, query: EngageQuery) -> Population:
        if self._config.wrong_region:
            return _NOBODY
        if query.group_id is not None:
            return self._groups.get(query.group_id, _NOBODY)
        return self._users


_NOBODY = Population(())


def _users_of(config: SimulatorConfig) -> Population:
    if isinstance(config.profiles, int):
        return Population(SyntheticProfiles(config.profiles, config.kind, config.seed))
    return Population(config.profiles)


def _check_route(request: Request) -> None:
    methods = METHODS.get(request.path)
    if methods is None:
        raise ApiError(404, f"there is nothing at {request.path}")
    if request.method not in methods:
        raise ApiError(405, f"{request.path} does not take {request.method}")


def _takes_gzip(request: Request) -> bool:
    for coding in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0"}
    return False
