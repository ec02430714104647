"""Secret, and the redaction of URIs."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import string
import traceback
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpanel_fetch.secret import Secret, redact_uri

unhurried = settings(max_examples=50, deadline=None, database=None)
WORD = "hunter2-of-the-project"


@dataclass(frozen=True)
class Holder:
    secret: Secret
    name: str = "n"


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        format,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r}",
        lambda secret: f"{secret!s:>40}",
        lambda secret: f"{secret:^30}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        "{0} {0!r}".format,
        lambda secret: repr([secret, {"key": secret}]),
        lambda secret: repr(Holder(secret)),
        lambda secret: str(asdict(Holder(secret))),
        lambda secret: str(ValueError(secret)),
        lambda secret: repr(ValueError("refused", secret)),
        lambda secret: json.dumps({"secret": secret}, default=str),
    ],
)
def test_no_way_of_showing_a_secret_shows_its_text(shown):
    text = shown(Secret(WORD))
    assert "***" in text
    assert WORD not in text


def test_a_traceback_does_not_show_the_text():
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(Secret(WORD))
    assert WORD not in "".join(traceback.format_exception(caught.value))


def test_a_log_does_not_show_the_text(caplog):
    logging.getLogger("mixpanel_fetch").warning("with %s and %r", Secret(WORD), Secret(WORD))
    assert WORD not in caplog.text
    assert "***" in caplog.text


def test_a_width_applies_to_the_mask_so_that_it_tells_nothing_of_the_length():
    assert f"{Secret('x'):>5}" == f"{Secret(WORD):>5}" == "  ***"


def test_only_reveal_gives_the_text_up():
    assert Secret(WORD).reveal() == WORD
    assert not hasattr(Secret(WORD), "__dict__")
    with pytest.raises(TypeError):
        json.dumps(Secret(WORD))


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_secret_survives_copies_and_the_way_to_another_process(twin):
    again = twin(Holder(Secret(WORD))).secret
    assert again == Secret(WORD)
    assert again.reveal() == WORD


def test_secrets_compare_by_text_and_with_secrets_only():
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"): 1}.get("a") is None


def test_an_empty_secret_is_false():
    assert not Secret("")
    assert Secret("x")


# URIs


@pytest.mark.parametrize(
    ("uri", "redacted"),
    [
        ("duckdb:///profiles.duckdb", "duckdb:///profiles.duckdb"),
        ("duckdb:///a@b.duckdb?memory_limit=1GB", "duckdb:///a@b.duckdb?memory_limit=1GB"),
        ("jsonl://-", "jsonl://-"),
        ("postgresql://user:pw@host:5432/db", "postgresql://***@host:5432/db"),
        ("postgresql://user@host/db", "postgresql://***@host/db"),
        ("postgresql://a@b.c:p@ss@host/db", "postgresql://***@host/db"),
        ("x://h/?password=pw&a=1", "x://h/?password=***&a=1"),
        ("x://h/?a=1&API_TOKEN=pw", "x://h/?a=1&API_TOKEN=***"),
        ("x://h/?aws_secret_access_key=pw", "x://h/?aws_secret_access_key=***"),
        ("x://h/?sslpassword=&a=1", "x://h/?sslpassword=***&a=1"),
        ("host=h user=u password=pw dbname=d", "host=h user=u password=*** dbname=d"),
        ("no uri at all", "no uri at all"),
        ("", ""),
    ],
)
def test_what_may_be_a_secret_is_masked_and_the_rest_stays(uri, redacted):
    assert redact_uri(uri) == redacted
    assert redact_uri(redacted) == redacted


marked = st.text(string.ascii_letters + string.digits + "%:+-._~!$'()*,@=", min_size=1).map(
    lambda text: f"S3CR3T{text}S3CR3T"
)
speaking = st.sampled_from(
    [
        "password",
        "passwd",
        "pwd",
        "PGPASSWORD",
        "client_secret",
        "token",
        "access-token",
        "api_key",
        "credentials",
        "X-Amz-Signature",
    ]
)


@unhurried
@given(marked, marked, st.sampled_from(["", "?a=1"]))
def test_no_secret_in_the_user_information_survives(user, password, query):
    redacted = redact_uri(f"postgresql://{user}:{password}@host/db{query}")
    assert "S3CR3T" not in redacted
    assert redacted.endswith(f"@host/db{query}")


@unhurried
@given(speaking, marked, st.sampled_from(["x://h/p?", "x://h/p?a=1&", "host=h "]))
def test_no_value_of_a_speaking_parameter_survives(name, value, before):
    redacted = redact_uri(f"{before}{name}={value}&z=9")
    assert "S3CR3T" not in redacted
    assert redacted.startswith(before)
    assert redacted.endswith("&z=9")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://user:pa/ss-S3CR3T@host/db",
        "postgresql://user:pa ss-S3CR3T@host/db",
        "postgresql://user:pa?ss-S3CR3T@host/db",
        "postgresql://user:pa#ss-S3CR3T@host/db",
        "postgresql://host/db?password=pa;ss-S3CR3T",
        "postgresql://host/db?password=pa ss-S3CR3T",
        "postgresql://host/db?pass%77ord=S3CR3T",
        "postgresql://host/db?passphrase=S3CR3T",
        "postgresql://host/db?pass=S3CR3T",
        "azure://container/blob?sv=2024&sig=S3CR3T",
        "host=h password='pa ss-S3CR3T' dbname=d",
        "host=h password = S3CR3T dbname=d",
    ],
)
def test_a_secret_that_is_not_percent_encoded_or_has_another_name_does_not_survive(uri):
    assert "S3CR3T" not in redact_uri(uri)


@pytest.mark.parametrize(
    "text",
    [
        "u:hunter2@h/d",
        "postgresql:u:hunter2@h",
        "secret:hunter2",
        "a 'u:hunter2@h/d' b",
        "u:hun@ter2@h",
    ],
)
def test_what_lacks_its_slashes_or_its_equals_sign_shows_no_secret_either(text):
    assert not re.search(r"hunter2|ter2", redact_uri(text))


@pytest.mark.parametrize("text", ["secret: must be text", "a: b@c", "at 12:30", "me@example.org"])
def test_a_sentence_stays_as_it_is(text):
    assert redact_uri(text) == text
