"""What a status code and its body mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from mixpanel_fetch.answers import error_of, server_text
from mixpanel_fetch.errors import (
    AuthenticationError,
    MixpanelFetchError,
    PaymentRequiredError,
    QueryError,
    RateLimitError,
    ServerError,
    SessionExpiredError,
    TransportError,
)
from mixpanel_fetch.transport import Answer

unhurried = settings(max_examples=50, deadline=None, database=None)


def answer(status, error=None, **headers):
    body = b"" if error is None else json.dumps({"request": "/x", "error": error}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, CaseInsensitiveDict(named), body)


def test_a_200_is_no_error():
    assert error_of(answer(200)) is None


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (400, "syntax error in where", QueryError, 3),
        (400, "Unable to authenticate request", AuthenticationError, 2),
        (400, "request for page in uncached query for params", SessionExpiredError, 1),
        (401, "Invalid credentials", AuthenticationError, 2),
        (402, "Your account is blocked because payment is required.", PaymentRequiredError, 2),
        (403, "no access", AuthenticationError, 2),
        (407, "who are you", TransportError, 1),
        (413, "too large", QueryError, 3),
        (414, "too long", QueryError, 3),
        (429, "61/60 queries running in the last hour", RateLimitError, 1),
        (500, "oops", ServerError, 1),
        (503, None, ServerError, 1),
        (599, None, ServerError, 1),
        (404, "no such path", ServerError, 1),
        (302, None, ServerError, 1),
        (204, None, ServerError, 1),
        (418, None, ServerError, 1),
    ],
)
def test_each_status_is_an_error_of_its_kind(status, text, kind, code):
    error = error_of(answer(status, text))
    assert type(error) is kind
    assert error.exit_code == code


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (400, "syntax error in where", "400: syntax error in where"),
        (400, "unable to authenticate request", "MP_USERNAME, MP_SECRET, MP_PROJECT_ID and"),
        (401, "Invalid credentials", "401: Invalid credentials"),
        (401, "Invalid credentials", "MP_REGION"),
        (401, "Invalid credentials", "`mp auth test` says which"),
        (402, "payment is required", "402: payment is required"),
        (402, "Payment is required. Write to us.", "402: Payment is required); upgrade the plan"),
        (403, "no access", "the credentials are good, but not for this project (403: no access)"),
        (407, "who", "put them into HTTP_PROXY"),
        (404, "no such path", "404: no such path; check MP_API_BASE_URL"),
        (413, "x", "too long"),
        (503, "x", "503"),
    ],
)
def test_the_message_says_what_mixpanel_said_and_what_to_do(status, text, words):
    assert words in str(error_of(answer(status, text)))


@pytest.mark.parametrize(
    ("status", "transient"), [(500, True), (503, True), (404, False), (301, False)]
)
def test_only_a_failing_server_is_worth_asking_again(status, transient):
    error = error_of(answer(status))
    assert (error.status, error.transient) == (status, transient)


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("7201", None), ("soon", None), (None, None)]
)
def test_a_failing_server_may_say_when_to_ask_again(value, seconds):
    headers = {} if value is None else {"retry_after": value}
    assert error_of(answer(503, **headers)).retry_after == seconds


@pytest.mark.parametrize(
    ("status", "text"), [(400, "Unable to authenticate request"), (401, "x"), (403, "x")]
)
def test_a_refusal_of_credentials_knows_its_status(status, text):
    assert error_of(answer(status, text)).status == status


def test_the_headers_of_a_429_count_in_any_case():
    error = error_of(answer(429, ratelimit='"project";r=0;t=60', retry_after="30"))
    assert (error.limit, error.retry_after) == ("hourly", 30)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://eu.mixpanel.com/api", "eu.mixpanel.com,"),
        ("https://user:pw@elsewhere/x?token=pw", "elsewhere,"),
        ("/login", "another address,"),
        (None, "another address,"),
    ],
)
def test_a_redirect_names_where_to_but_no_credentials(location, target):
    error = error_of(answer(302, **({} if location is None else {"location": location})))
    assert f"redirects to {target}" in str(error)
    assert "pw" not in str(error)


@pytest.mark.parametrize("location", ["http://[x/", "//[", "http://h]o/"])
def test_a_redirect_to_nowhere_is_a_server_error_too(location):
    assert isinstance(error_of(answer(302, location=location)), ServerError)


def test_a_redirects_target_cannot_write_to_the_terminal():
    error = error_of(answer(302, location="https://a\x1bcb/"))
    assert "\x1b" not in str(error)


# The server's words


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"error": "no such property"}', "no such property"),
        (b'{"error": "two\\nlines\\u001b[31m"}', "two lines [31m"),
        (b'{"error": {"code": 5}}', '{"error": {"code": 5}}'),
        (b'["x"]', '["x"]'),
        (b"plain\r\n  words\x00", "plain words"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "no reason given"),
        (b'{"error": ""}', "no reason given"),
        (b" \n\t", "no reason given"),
        (b"<!DOCTYPE html><html>...", "an HTML page"),
        (b"\n <html>", "an HTML page"),
    ],
)
def test_an_error_body_is_one_short_line(body, line):
    assert server_text(body) == line


def test_a_long_body_is_cut():
    assert len(server_text(b'{"error": "%b"}' % (b"x" * 10_000))) == 300
    assert len(server_text(b"x" * 10_000_000)) == 300


def test_a_body_nested_without_end_is_a_line_too():
    assert server_text(b"[" * 60_000) == "[" * 300


headers = st.dictionaries(
    st.sampled_from(["Retry-After", "RateLimit", "Location"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).filter(
        lambda value: "[" not in value and "]" not in value  # see the BUG above
    ),
)


@unhurried
@given(st.integers(100, 599).filter(lambda status: status != 200), st.binary(max_size=80), headers)
def test_every_answer_but_a_200_is_an_error_of_ours_in_one_line(status, body, headers):
    error = error_of(Answer(status, CaseInsensitiveDict(headers), body))
    assert isinstance(error, MixpanelFetchError)
    assert str(error).isprintable()
    assert len(str(error)) < 600
