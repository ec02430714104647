"""All the switches of the simulator in one frozen value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.synthetic import PROFILE_KINDS

Presence = Literal["first", "all", "never"]
OverMaximum = Literal["clamp", "error"]
Verdict = Literal["accept", "reject"]
Order = Literal["stable", "shuffled"]
Counted = Literal["matches", "results"]

_CHOICES: Mapping[str, tuple[object, ...]] = {
    "kind": PROFILE_KINDS,
    "total_on": get_args(Presence),
    "page_size_on": get_args(Presence),
    "page_size_over_max": get_args(OverMaximum),
    "cohort_id_as_text": get_args(Verdict),
    "order": get_args(Order),
    "total_counts": get_args(Counted),
    "auth_failure_status": (400, 401),
}
_AT_LEAST: Mapping[str, float] = {
    "page_size": 1,
    "max_page_size": 1,
    "latency": 0,
    "gather": 0,
    "concurrency_limit": 0,
    "hourly_limit": 0,
    "session_pages": 0,
    "session_ttl": 0,
    "cache_bytes": 0,
}


@dataclass(frozen=True)
class SimulatorConfig:
    """How the simulated project looks and how its server behaves.

    What Mixpanel documents is the default; what only a live project could tell (facts sheet
    section 10) is a switch. Raises ValueError for a value outside its choices.

    The project:

    - `profiles`: a count of synthetic profiles, or a sequence of profiles, each a mapping, the
      raw bytes of one JSON object, or a RawProfile. `kind` and `seed` belong to the count.
    - `groups`: profiles by `data_group_id` (as text). `cohorts`: distinct ids by cohort id; ids
      without a profile are allowed. `cohort_names`: names by cohort id, where they are to be
      others than "Cohort ID".
    - `project_id`; `username` and `secret` of the service account; `api_secret`, the project
      secret; `bearer_token`, an OAuth token.
    - `utc_offset`: the project's timezone in hours east of UTC.

    Paging:

    - `page_size`, when the request names none. `max_page_size`: larger requests are clamped or
      refused (`page_size_over_max`: "clamp", "error").
    - `total_on`, `page_size_on`: which answers carry that field: "first", "all", "never".
    - `total_counts`: "matches", or "results": only those of the page (facts sheet 4.5).
    - `order` of a session's rows: "stable", or "shuffled" anew for each session.
    - `snapshot`: whether a session keeps the profiles it was opened on.
    - `session_id_changes`: whether each answer names another (equally good) session id.
    - `session_ttl` in seconds and `session_pages` in requests: how long a session lives;
      `session_expiry_repeats`: only the first so many sessions are subject to it.

    Limits (facts sheet section 5):

    - `concurrency_limit` at once (None: off), `session_pages_concurrent`: whether session pages
      are among them. `concurrency_retry_after` in seconds.
    - `hourly_limit` in a rolling hour (None: off), `count_session_pages`: whether session pages
      count too.
    - `rate_limit_headers`: whether a 429 carries its headers.

    The answer:

    - `latency` in seconds from request to answer, `page_latency` by page index.
    - `gather`: session pages wait, each at most 10 seconds, until so many requests have been in
      flight at once. How many a client sends at once is then seen on the slowest machine.
    - `gzip`, for clients that accept it. `cache_bytes`: how much of encoded pages is kept.
    - `auth_failure_status`: 401, or 400 with "Unable to authenticate request".
    - `wrong_region`: nothing is found. `payment_required`: 402. `forbidden`: 403.
    - `cohort_id_as_text`: whether `{"id": "12"}` passes: "accept", "reject".

    The server: `faults`, `port` (0: any free one), `tls`.
    """

    profiles: int | Sequence[Any] = 1000
    kind: str = "narrow"
    seed: int = 1
    groups: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    cohorts: Mapping[int, Collection[Any]] = field(default_factory=dict)
    cohort_names: Mapping[int, str] = field(default_factory=dict)
    project_id: int = 12345
    username: str = "demo"
    secret: str = "demo-secret"
    api_secret: str | None = None
    bearer_token: str | None = None
    utc_offset: float = 0.0

    page_size: int = 1000
    max_page_size: int | None = None
    page_size_over_max: OverMaximum = "clamp"
    total_on: Presence = "first"
    total_counts: Counted = "matches"
    page_size_on: Presence = "all"
    order: Order = "stable"
    snapshot: bool = True
    session_id_changes: bool = False
    session_ttl: float | None = None
    session_pages: int | None = None
    session_expiry_repeats: int | None = None

    concurrency_limit: int | None = 5
    session_pages_concurrent: bool = True
    concurrency_retry_after: int = 10
    hourly_limit: int | None = None
    count_session_pages: bool = False
    rate_limit_headers: bool = True

    latency: float = 0.0
    page_latency: Mapping[int, float] = field(default_factory=dict)
    gather: int = 0
    gzip: bool = False
    cache_bytes: int = 256 * 1024 * 1024
    auth_failure_status: int = 401
    wrong_region: bool = False
    payment_required: bool = False
    forbidden: bool = False
    cohort_id_as_text: Verdict = "accept"

    faults: Sequence[Fault] = ()
    port: int = 0
    tls: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}")
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}")
        if isinstance(self.profiles, int) and self.profiles < 0:
            raise ValueError("profiles must be a count of at least 0 or a sequence")
