"""When to ask, when to wait, when to give up; time and chance are the test's."""

from __future__ import annotations

import math
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mixpanel_fetch.errors import (
    AuthenticationError,
    ConfigError,
    PaymentRequiredError,
    QueryError,
    RateLimitError,
    ServerError,
    SessionExpiredError,
    TransportError,
)
from mixpanel_fetch.quota import (
    LONGEST_SANE_WAIT,
    ConcurrencyGate,
    RetryPolicy,
    hourly_limit,
    parse_ratelimit,
    parse_retry_after,
    read_rate_limit,
)

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
unhurried = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80
)

# The bodies and headers of engage-api.md, "What a 429 looks like".
HOURLY_BODY = (
    "Query rate limit exceeded for project_id: 7. This request exceeded the rate limit"
    " (61/60 queries running in the last hour). For more information, ..."
)
OLDER_HOURLY_BODY = (
    "Query rate limit exceeded: 1/5 queries running concurrently and 61/60 queries running in the"
    " last hour"
)
CONCURRENCY_BODY = (
    "Query rate limit exceeded for project_id: 7. This request exceeded the concurrency limit"
    " (6/5 queries running concurrently)."
)
HOURLY = {"RateLimit": '"project";r=0;t=3600, "project-concurrency";r=3'}
CONCURRENCY = {"RateLimit": '"project";r=12, "project-concurrency";r=0;t=10'}


# Headers


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Sat, 31 Jan 2026 12:01:30 GMT", 90),
        ("Sat, 31 Jan 2026 13:01:30 +0100", 90),
        ("Sat, 31 Jan 2026 12:01:30 -0000", 90),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("Sat, 31 Feb 2026 12:01:30 GMT", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
    ],
)
def test_a_date_beyond_every_clock_says_nothing(value):
    assert parse_retry_after(value, NOW) is None


@unhurried
@given(st.timedeltas(timedelta(0), timedelta(days=900)))
def test_a_date_is_as_far_away_as_it_is(ahead):
    ahead = timedelta(seconds=int(ahead.total_seconds()))
    assert parse_retry_after(format_datetime(NOW + ahead), NOW) == ahead.total_seconds()


def test_a_date_is_measured_from_now():
    assert (
        3000 < parse_retry_after(format_datetime(datetime.now(timezone.utc) + timedelta(1))) < 86401
    )


@unhurried
@given(st.text(max_size=60) | st.text("0123456789 :,+-JanMoGTfeb", max_size=40))
def test_no_header_makes_the_reader_raise(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
    parse_ratelimit(value)


def test_a_ratelimit_header_is_read_by_policy():
    assert parse_ratelimit(HOURLY["RateLimit"]) == {
        "project": {"r": "0", "t": "3600"},
        "project-concurrency": {"r": "3"},
    }
    assert parse_ratelimit('"a" ; r=0 ; qu="concurrent; requests, all", "b"') == {
        "a": {"r": "0", "qu": "concurrent; requests, all"},
        "b": {},
    }
    assert parse_ratelimit(None) == parse_ratelimit("") == parse_ratelimit("r=0") == {}


names = st.text("abcdefghij-", min_size=1, max_size=8)
bare = st.integers(0, 9999).map(str)


@unhurried
@given(st.dictionaries(names, st.dictionaries(names.map(lambda n: n.replace("-", "_")), bare)))
def test_any_ratelimit_header_comes_back_as_it_was_written(items):
    header = ", ".join(
        f'"{name}"' + "".join(f";{key}={value}" for key, value in parameters.items())
        for name, parameters in items.items()
    )
    assert parse_ratelimit(header) == items


@pytest.mark.parametrize(
    ("headers", "body", "limit", "retry_after"),
    [
        (HOURLY, "", "hourly", 3600),
        (CONCURRENCY, "", "concurrency", 10),
        ({}, HOURLY_BODY, "hourly", None),
        ({}, OLDER_HOURLY_BODY, "hourly", None),
        ({}, CONCURRENCY_BODY, "concurrency", None),
        ({}, "Query rate limit exceeded for project_id: 7.", "unknown", None),
        ({}, "5/5 queries running concurrently", "unknown", None),
        (HOURLY, CONCURRENCY_BODY, "hourly", 3600),
        ({"RateLimit": '"project";r=3'}, CONCURRENCY_BODY, "concurrency", None),
        ({"RateLimit": "nonsense"}, HOURLY_BODY, "hourly", None),
        ({**HOURLY, "Retry-After": "42"}, "", "hourly", 42),
        ({"Retry-After": "42"}, HOURLY_BODY, "hourly", 42),
        ({"Retry-After": "42"}, "", "unknown", 42),
        ({**HOURLY, "Retry-After": "soon"}, "", "hourly", 3600),
        ({**HOURLY, "Retry-After": str(int(LONGEST_SANE_WAIT) + 1)}, "", "hourly", 3600),
        ({"RateLimit": '"project";r=0;t=999999'}, "", "hourly", None),
    ],
)
def test_a_429_says_which_limit_and_when_to_come_back(headers, body, limit, retry_after):
    error = read_rate_limit(headers, body)
    assert (error.limit, error.retry_after) == (limit, retry_after)


@pytest.mark.parametrize(
    ("headers", "body", "limit"),
    [
        ({"RateLimit-Policy": '"project";q=60;w=3600, "project-concurrency";q=5'}, "", 60),
        ({"RateLimit-Policy": '"project-concurrency";q=5, "project";q=400;w=3600'}, "", 400),
        ({"RateLimit-Policy": '"project-concurrency";q=5'}, "", None),
        ({"RateLimit-Policy": '"project";q=1000'}, HOURLY_BODY, 1000),
        ({"RateLimit-Policy": '"project";q=many'}, HOURLY_BODY, 60),
        ({"RateLimit-Policy": '"project";q=0;w=3600'}, "", None),
        ({}, OLDER_HOURLY_BODY, 60),
        ({}, CONCURRENCY_BODY, None),
        ({}, "", None),
    ],
)
def test_a_project_may_have_another_limit_than_usual(headers, body, limit):
    assert hourly_limit(headers, body) == limit


def test_each_limit_has_its_own_words():
    said = [str(read_rate_limit({}, body)) for body in (HOURLY_BODY, CONCURRENCY_BODY, "")]
    assert "hourly" in said[0]
    assert "at once" in said[1]
    assert "shedding" in said[2]


# The policy

TRANSIENT = [ServerError("503", status=503), TransportError("reset")]
FINAL = [
    AuthenticationError("401"),
    PaymentRequiredError("402"),
    QueryError("400"),
    SessionExpiredError("gone"),
    ConfigError("x"),
    ServerError("404", transient=False, retry_after=1.0),
    TransportError("tls", transient=False),
]
quotas = st.builds(
    lambda limit, retry_after: RateLimitError("429", limit=limit, retry_after=retry_after),
    st.sampled_from(["hourly", "concurrency", "unknown"]),
    st.none() | st.floats(0, LONGEST_SANE_WAIT),
)
chances = st.floats(0, 1, exclude_max=True)


def waits_of(policy, errors):
    """Return every wait until the policy gives up, or the errors run out."""
    waits = []
    for attempt, error in enumerate(errors, start=1):
        wait = policy.wait_before_retry(error, attempt, sum(waits))
        if wait is None:
            break
        waits.append(wait)
    return waits


@pytest.mark.parametrize("error", FINAL, ids=str)
def test_what_asking_again_cannot_help_is_not_asked_again(error):
    assert RetryPolicy(max_retries=9).wait_before_retry(error, 1, 0.0) is None


@pytest.mark.parametrize("error", TRANSIENT, ids=str)
@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_a_transient_fault_is_tried_again_so_often_and_no_more(error, max_retries):
    assert len(waits_of(RetryPolicy(max_retries=max_retries), [error] * 20)) == max_retries


def test_backoff_doubles_up_to_its_cap_with_full_jitter():
    errors = [TransportError("reset")] * 10
    whole = RetryPolicy(max_retries=9, base=0.5, cap=3.0, chance=lambda: 1.0)
    assert waits_of(whole, errors) == [0.5, 1, 2, 3, 3, 3, 3, 3, 3]
    assert waits_of(RetryPolicy(max_retries=9, chance=lambda: 0.0), errors) == [0.0] * 9


def test_the_attempt_number_may_grow_without_end():
    policy = RetryPolicy(max_retries=10**6, cap=7.0, chance=lambda: 1.0)
    assert policy.wait_before_retry(TransportError("reset"), 10**5, 0.0) == 7.0


@pytest.mark.parametrize(
    ("retry_after", "waited", "wait"), [(8.0, 0.0, 8.0), (8.0, 115.0, 0.5), (500.0, 0.0, 0.5)]
)
def test_the_servers_own_word_wins_while_there_is_time_for_it(retry_after, waited, wait):
    policy = RetryPolicy(max_wait=120.0, base=0.5, chance=lambda: 1.0)
    error = ServerError("503", status=503, retry_after=retry_after)
    assert policy.wait_before_retry(error, 1, waited) == wait


@unhurried
@given(st.lists(quotas, max_size=12), st.floats(0, 300), chances)
def test_quotas_are_never_waited_for_longer_than_max_wait_in_all(errors, max_wait, chance):
    waits = waits_of(RetryPolicy(max_wait=max_wait, chance=lambda: chance), errors)
    assert all(wait >= 0 for wait in waits)
    assert sum(waits) <= max_wait + 1e-6


@unhurried
@given(st.sampled_from(["hourly", "concurrency", "unknown"]), st.none() | st.floats(0, 9e3))
def test_waiting_for_a_quota_comes_to_an_end(limit, retry_after):
    error = RateLimitError("429", limit=limit, retry_after=retry_after)
    assert len(waits_of(RetryPolicy(chance=lambda: 0.5), [error] * 10_000)) < 1_000


@pytest.mark.parametrize("retry_after", [120.5, 3600.0])
def test_an_hour_that_cannot_be_waited_out_is_not_begun(retry_after):
    error = RateLimitError("429", limit="hourly", retry_after=retry_after)
    assert RetryPolicy(max_wait=120.0).wait_before_retry(error, 1, 0.0) is None


def test_a_quota_is_waited_for_as_long_as_asked_and_a_little_more():
    error = RateLimitError("429", limit="hourly", retry_after=60.0)
    policy = RetryPolicy(chance=lambda: 1.0, base=0.5)
    assert policy.wait_before_retry(error, 1, 0.0) == 60.05
    assert policy.wait_before_retry(error, 1, 60.0) == 60.0  # what is left, and not more
    assert policy.wait_before_retry(error, 1, 120.0) is None


def test_concurrency_is_waited_for_more_often_than_a_fault():
    error = RateLimitError("429", limit="concurrency", retry_after=1.0)
    policy = RetryPolicy(max_retries=1, max_wait=30.0, chance=lambda: 0.0)
    assert waits_of(policy, [error] * 50) == [1.0] * 30


def test_load_shedding_is_a_fault_and_not_a_quota():
    assert len(waits_of(RetryPolicy(max_retries=2), [RateLimitError("429")] * 9)) == 2


def test_no_wait_is_allowed_where_max_wait_is_zero():
    for limit in ("hourly", "concurrency", "unknown"):
        error = RateLimitError("429", limit=limit)
        assert RetryPolicy(max_wait=0.0).wait_before_retry(error, 1, 0.0) is None


# The gate


class BlockedError(Exception):
    """Raised by the injected sleep: the gate would wait."""


class GateMachine(RuleBasedStateMachine):
    """Any order of taking, giving back, narrowing and waiting keeps the gate's promises."""

    @initialize(limit=st.integers(1, 7))
    def make(self, limit):
        self.now = 1000.0
        self.in_flight = 0
        self.limit = self.width = limit
        self.narrowed_at = self.now - 1.0
        self.gate = ConcurrencyGate(limit, recovery=10.0, clock=lambda: self.now, sleep=self.refuse)

    def refuse(self, seconds):
        assert seconds > 0
        raise BlockedError

    def expected(self):
        return min(self.limit, self.width + int((self.now - self.narrowed_at) / 10.0))

    @rule()
    def acquire(self):
        room = self.in_flight < self.expected()
        try:
            self.gate.acquire()
        except BlockedError:
            assert not room
        else:
            assert room
            self.in_flight += 1

    @precondition(lambda self: self.in_flight)
    @rule()
    def release(self):
        self.gate.release()
        self.in_flight -= 1

    @rule()
    def narrow(self):
        if self.now - self.narrowed_at >= 1.0:
            self.width = max(1, self.expected() - 1)
            self.narrowed_at = self.now
        self.gate.narrow()

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0, 25.0, 1000.0]))
    def pass_time(self, seconds):
        self.now += seconds

    @invariant()
    def between_one_and_the_limit(self):
        assert 1 <= self.gate.width == self.expected() <= self.limit
        assert self.in_flight <= self.limit

    def teardown(self):
        if hasattr(self, "gate"):
            self.now += 10.0 * self.limit
            for _ in range(self.in_flight):
                self.gate.release()
            for _ in range(self.limit):
                self.gate.acquire()  # every slot came back
            with pytest.raises(BlockedError):
                self.gate.acquire()


TestGate = GateMachine.TestCase
TestGate.settings = settings(unhurried, max_examples=60, stateful_step_count=30)


def test_the_gate_lets_the_next_one_in_when_a_slot_is_given_back():
    slept = []
    gate = ConcurrencyGate(1, sleep=lambda seconds: (slept.append(seconds), gate.release()))
    gate.acquire()
    gate.acquire()
    assert len(slept) == 1


def test_a_narrowed_gate_widens_by_one_each_recovery():
    now = -8.0
    gate = ConcurrencyGate(5, recovery=10.0, clock=lambda: now)
    for now in range(-8, 1):  # noqa: B007  (the clock reads it)
        gate.narrow()
    widths = []
    for now in (0.0, 9.9, 10.0, 25.0, 40.0, 1e6):  # noqa: B007  (the clock reads it)
        widths.append(gate.width)  # noqa: PERF401
    assert widths == [1, 1, 2, 3, 5, 5]


def test_refusals_that_arrive_together_narrow_the_gate_by_one():
    now = 0.0
    gate = ConcurrencyGate(5, clock=lambda: now)
    widths = []
    for now in (0.0, 0.0, 0.01, 0.5, 0.99, 1.0, 1.2, 2.5):  # noqa: B007  (the clock reads it)
        gate.narrow()
        widths.append(gate.width)
    assert widths == [4, 4, 4, 4, 4, 3, 3, 2]


def test_threads_never_have_more_than_the_limit_in_flight():
    gate, counting = ConcurrencyGate(3, poll=0.001), threading.Lock()
    now, most = 0, 0

    def work():
        nonlocal now, most
        for _ in range(30):
            gate.acquire()
            with counting:
                now += 1
                most = max(most, now)
            with counting:
                now -= 1
            gate.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert (now, most <= 3) == (0, True)
