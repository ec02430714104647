from __future__ import annotations

import hmac
import json
from datetime import datetime, timezone
from decimal import Context, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixpanel_fetch_redact import make_hash
from mixpanel_fetch_redact.canonical import canonical, canonical_number
from mixpanel_fetch_redact.hashing import Hasher

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret

quick = settings(max_examples=100, deadline=None, database=None)


def digest(key: str, text: str) -> str:
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def test_a_value_becomes_the_hmac_of_its_text(apply, key) -> None:
    before = b'{"plan":"pro","$email":"jane@example.com","n":1}'
    after = f'{{"plan":"pro","$email":"{digest(key, "jane@example.com")}","n":1}}'
    assert apply(make_hash("$email"), before) == after.encode()


@pytest.mark.parametrize("size", [1, 32, 63, 64, 65, 200])
def test_it_is_the_hmac_of_the_standard_for_keys_of_any_length(size: int) -> None:
    key = "k\u00e9y" * 100
    for message in (b"", b"x", b"y" * 500):
        mine = Hasher(Secret(key[:size])).digest(message)
        assert mine == hmac.digest(key[:size].encode(), message, "sha256").hex()


@pytest.mark.parametrize(
    "spellings",
    [
        [rb'"a\u00e9/"', '"a\u00e9/"'.encode(), rb'"\u0061\u00E9\/"'],
        [b"1", b"1.0", b"1e0", b"10e-1", b"0.1E+1", b'"1"'],
        [b"1.5", b"1.50", b"15e-1", b"0.15e1"],
        [b"0", b"-0", b"0.0", b"-0.0e7"],
        [b"-120", b"-1.2e2", b"-120.000"],
        [b"0.001", b"1e-3", b"0.0010"],
        [b"123456789012345678901234567890", b"123456789012345678901234567890.0"],
        [b"9223372036854775808", b"9223372036854775808.00"],
        [b"1e500", b"1" + b"0" * 500, b"10e499"],
        [b"1e-500", b"0." + b"0" * 499 + b"1"],
        [b"12e3000", b"1.2e3001", b"0.12E+3002"],
        [b'{"a":1,"b":[1.0,"x"]}', rb'{ "\u0062" : [ 1 , "\u0078" ], "a":1e0 }'],
        [b'{"a":1}', b'{"a":2,"a":1}'],
        [b"[]", b"[ ]"],
        [b"{}", b"{ }"],
        [b"true", b'"true"'],
    ],
)
def test_one_value_has_one_hash_however_it_is_spelled(apply, spellings: list[bytes]) -> None:
    transform = make_hash("a")
    hashes = {apply(transform, b'{"a":' + spelling + b"}") for spelling in spellings}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (rb'"a\"\u00e9"', 'a"\u00e9'),
        (b"1e3", "1000"),
        (b"120", "120"),
        (b"-12.50", "-12.5"),
        (b"0.000012", "0.000012"),
        (b"12e3000", "12e3000"),
        (b"false", "false"),
        (b'{"b":[ 1.0, null ,{}],"a":"\\u00e9\\"/"}', '{"a":"\u00e9\\"/","b":[1,null,{}]}'),
        (rb'["\ud800"]', '["\ufffd"]'),
        (b"1e" + b"9" * 5000, "1e" + "9" * 5000),
    ],
)
def test_the_canonical_form_is_as_documented(text: bytes, form: str) -> None:
    assert canonical(text) == form.encode()


def test_values_that_differ_have_other_hashes(apply) -> None:
    texts = [b'"a"', b'"A"', b'"a "', b'""', b"1", b"-1", b"1.5", b"15", b"9007199254740993",
             b"9007199254740992", b"0.1", b"0.10000000000000000001", b"true", b"[]", b"[1]", b"{}",
             b'["1"]', b'{"a":"1"}', b'{"a":1}', b"1e400", b"1e401", rb'"a\u0000"']  # fmt: skip
    transform = make_hash("a")
    assert len({apply(transform, b'{"a":' + text + b"}") for text in texts}) == len(texts)


@quick
@given(st.integers(-(10**40), 10**40), st.integers(0, 25), st.integers(-10, 10))
def test_the_canonical_number_is_the_same_number(digits: int, places: int, exponent: int) -> None:
    number = Decimal(digits).scaleb(-places, Context(prec=60))
    form = canonical_number(f"{number:f}")
    assert Decimal(form) == number
    assert "e" not in form
    shifted = number.scaleb(-exponent, Context(prec=60))
    assert canonical_number(f"{shifted:f}e{exponent}") == form


def test_deep_values_are_hashed(apply) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"k":', b"}")):
        deep = opening * 450 + b"1.0" + closing * 450
        same = opening * 450 + b"1" + closing * 450
        assert apply(make_hash("a"), b'{"a":' + deep + b"}") == apply(
            make_hash("a"), b'{"a":' + same + b"}"
        )


def test_null_and_missing_stay(apply) -> None:
    before = b'{"a":null,"b":{"c": null,"d":[null]}}'
    assert (
        apply(make_hash("a,x,b.c.z,b.d[],y.z"), before) == b'{"a":null,"b":{"c":null,"d":[null]}}'
    )


def test_it_is_the_same_in_every_run_and_another_with_another_key(apply, monkeypatch) -> None:
    first, again = (apply(make_hash("a"), b'{"a":"x"}') for _ in range(2))
    monkeypatch.setenv("MP_REDACT_KEY", "another key, which is long enough for it")
    assert first == again
    assert apply(make_hash("a"), b'{"a":"x"}') != first


@pytest.mark.parametrize("name", ["distinct_id", "$distinct_id", " $DISTINCT_ID "])
def test_the_id_is_hashed_with_the_properties_that_repeat_it(key: str, name: str) -> None:
    seen = datetime(2026, 1, 31, tzinfo=timezone.utc)
    before = Batch(
        ["jane@x.com", "4"],
        [b'{"$distinct_id":"jane@x.com","distinct_id":4,"a":1}', b"{}"],
        [seen, None],
    )
    result = make_hash(name)(before)
    jane, four = digest(key, "jane@x.com"), digest(key, "4")
    properties = f'{{"$distinct_id":"{jane}","distinct_id":"{four}","a":1}}'
    assert result == Batch([jane, four], [properties.encode(), b"{}"], [seen, None])


def test_ids_stay_unless_they_are_named() -> None:
    batch = Batch(["jane"], [b'{"distinct_id":{"x":"secret"}}'], [None])
    result = make_hash("$email,distinct_id.x")(batch)
    assert result is not None
    assert result.distinct_ids == ["jane"]
    assert b"secret" not in result.properties[0]


def test_the_column_of_instants_cannot_be_hashed() -> None:
    with pytest.raises(ConfigError, match="use drop"):
        make_hash("a,$last_seen")


def test_nothing_shows_the_key(key: str) -> None:
    transform = make_hash("$email,distinct_id")
    shown = f"{transform!r} {transform} {vars(transform)} {transform.identity}"
    assert key not in shown
    for text in (f"{one}" for one in vars(transform.properties).values()):
        assert key not in text


def test_its_identity_tells_keys_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    one, again = make_hash("a").identity, make_hash("b").identity
    monkeypatch.setenv("MP_REDACT_KEY", "x" * 32)
    assert one == again
    assert make_hash("a").identity != one
    assert json.dumps(one)


def test_what_cannot_be_read_is_refused_and_not_quoted() -> None:
    for text in (
        b'{"a":"secret"',
        b'{"secret":01}',
        b"[1]",
        b'{"\xff":"secret"}',
        b'{"a":"\\ud800"}',
    ):
        with pytest.raises(ValueError, match=r"cannot be read as JSON$") as caught:
            make_hash("a")(Batch(["id"], [text], [None]))
        assert "secret" not in str(caught.value)
