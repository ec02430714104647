"""The client's loop of asking and waiting, with a server that answers anything and no real time."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

import mixpanel_fetch.client
from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.errors import MixpanelFetchError, TransportError
from mixpanel_fetch.model import Credentials, ProfileQuery
from mixpanel_fetch.quota import LONGEST_SANE_WAIT, ConcurrencyGate, RetryPolicy
from mixpanel_fetch.transport import Answer

unhurried = settings(max_examples=40, deadline=None, database=None)
PAGE = b'{"results": [], "total": 0, "page": 0, "page_size": 10, "session_id": "s"}'


class Script:
    """A transport that gives the answers of a list, over and over (None: no answer came)."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0
        self.waits = []

    def post(self, url, **_):
        answer = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        if answer is None:
            raise TransportError("reset")
        return answer


@pytest.fixture(scope="module")
def ask():
    """Ask for a page until the policy gives up; return the script and the error."""
    with pytest.MonkeyPatch.context() as patch:

        def call(answers, **policy):
            script = Script(answers)
            patch.setattr(mixpanel_fetch.client, "pause", script.waits.append)
            gate = ConcurrencyGate(5, sleep=script.waits.append)
            account = ClientSettings(
                Credentials(api_secret="x"), retry=RetryPolicy(**policy), shared_quota=False
            )
            connection = EngageConnection(account, gate, script)
            try:
                connection.fetch_page(ProfileQuery(), 0)
            except MixpanelFetchError as error:
                return script, error
            return script, None

        yield call


def refusal(status, headers, error=""):
    return Answer(status, CaseInsensitiveDict(headers), json.dumps({"error": error}).encode())


seconds = st.integers(-5, 10**12).map(str) | st.sampled_from(
    ["0", "1", "30", "7200", "7201", "1e9", "nan", "inf", "-0", "9" * 400]
)
dates = st.sampled_from(
    ["Mon, 01 Jan 9999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37"]
)
retry_after = st.none() | seconds | dates | st.text(st.characters(max_codepoint=255), max_size=8)
reset = st.sampled_from(
    ["", '"project";r=0', '"project-concurrency";r=0', '"project";r=0;t={}', '"a";r=0;t="{}"']
)
texts = st.sampled_from(
    ["", "61/60 queries running in the last hour", "6/5 queries running concurrently"]
)


@st.composite
def refusals(draw):
    after, limit = draw(retry_after), draw(reset).format(draw(seconds))
    headers = {} if after is None else {"Retry-After": after}
    headers |= {"RateLimit": limit} if limit else {}
    return refusal(draw(st.sampled_from([429, 500, 503])), headers, draw(texts))


answers = st.lists(
    refusals()
    | st.none()
    | st.binary(max_size=5).map(lambda body: Answer(200, CaseInsensitiveDict(), body)),
    min_size=1,
    max_size=6,
)


@unhurried
@given(answers, st.integers(0, 5), st.floats(0, 10_000), st.randoms(use_true_random=False))
@example(
    [refusal(429, {"Retry-After": "0"}, "61/60 queries running in the last hour")], 3, 60, random
)
@example([refusal(503, {"Retry-After": "9" * 400})], 3, 60.0, random)
@example([refusal(429, {"RateLimit": '"project";r=0;t=-1'})], 3, 60.0, random)
def test_whatever_a_server_says_the_waits_are_sane_and_come_to_an_end(
    ask, said, max_retries, max_wait, chance
):
    script, error = ask(said, max_retries=max_retries, max_wait=max_wait, chance=chance.random)
    assert all(math.isfinite(wait) and 0 <= wait <= LONGEST_SANE_WAIT for wait in script.waits)
    assert error is not None
    assert error.attempts == script.asked == len(script.waits) + 1
    assert str(error).isprintable()


@unhurried
@given(st.lists(refusals().filter(lambda one: one.status == 429), min_size=1), st.floats(0, 500))
def test_quotas_are_waited_for_no_longer_than_max_wait_in_all(ask, said, max_wait):
    script, _ = ask(said, max_wait=max_wait, chance=lambda: 0.5)
    assert sum(script.waits) <= max_wait + 1e-6


@unhurried
@given(st.lists(refusals().filter(lambda one: one.status != 429), min_size=1), st.integers(0, 6))
def test_faults_are_tried_so_often_and_no_more(ask, said, max_retries):
    script, error = ask(said, max_retries=max_retries)
    assert script.asked == max_retries + 1
    assert error.status in {500, 503}


def test_quotas_between_faults_cost_none_of_the_tries(ask):
    said = [
        refusal(503, {}),
        refusal(429, {"Retry-After": "1"}, "6/5 queries running concurrently"),
        Answer(200, CaseInsensitiveDict(), PAGE),
    ]
    script, error = ask(said, max_retries=1)
    assert (script.asked, error) == (3, None)
