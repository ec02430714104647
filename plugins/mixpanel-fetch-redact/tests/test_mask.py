from __future__ import annotations

import json

import pytest
from marshmallow import ValidationError
from mixpanel_fetch_redact import make_mask
from mixpanel_fetch_redact.masking import MaskOptions

from mixpanel_fetch.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("jane.doe@example.com", "j***@e***.com"),
        ("jane.doe@mail.example.co.uk", "j***@m***.e***.***.uk"),
        ("al@x.io", "***@***.io"),
        ("jane@localhost", "j***@l***"),
        ("jane@doe.family", "j***@***.f***"),
        ("Jane <jane@example.com>", "J***"),
        ("a@b@c", "a***"),
        ("+49 170 123-4567", "+** *** ***-**67"),
        ("(555) 123.4567", "(***) ***.**67"),
        ("1990-05-17", "****-**-17"),
        ("10.0.0.17", "**.*.*.**"),
        ("192.168.10.25", "***.***.**.25"),
        ("12", "***"),
        ("Jane Doe", "J***"),
        ("  Jane Doe", "J***"),
        ("Ann", "***"),
        ("Anna", "A***"),
        ("\u00c9lodie", "\u00c9***"),
        ("\U0001f600\U0001f600\U0001f600\U0001f600", "\U0001f600***"),
        (" ", "***"),
        ("", ""),
        ("\u0000\u0000\u0000\u0000", "\u0000***"),
        (None, None),
        (True, "***"),
        (42, "**"),
        (-12.5, "-**.*"),
        (491701234567, "**********67"),
        (52.520008, "**.****08"),
        ({"a": "secret"}, "***"),
        (["secret"], "***"),
    ],
)
def test_each_kind_keeps_its_shape(apply, value, masked) -> None:
    text = apply(make_mask("a"), json.dumps({"a": value, "b": 1.10}).encode())
    assert json.loads(text) == {"a": masked, "b": 1.1}


def test_escapes_are_read_first(apply) -> None:
    assert apply(make_mask("a"), rb'{"a":"\u006aane\u0040example\u002ecom"}') == (
        b'{"a":"j***@e***.com"}'
    )


def test_what_is_in_an_object_can_be_named(apply) -> None:
    before = b'{"address":{"street":"Main Street","zip":"12345678","n":null,"tags":["home"]}}'
    assert json.loads(apply(make_mask("address.*"), before)) == {
        "address": {"street": "M***", "zip": "******78", "n": None, "tags": "***"}
    }


def test_the_mask_and_what_is_shown_can_be_chosen(apply) -> None:
    before = b'{"a":"jane.doe@example.com","b":"+49 170 123-4567","c":"Jane Doe","d":"1234567"}'
    mask = make_mask("a,b,c,d", mask_char="#", mask_keep=2, mask_digits=3)
    assert json.loads(apply(mask, before)) == {
        "a": "ja###@ex###.com", "b": "+## ### ###-#567", "c": "Ja###", "d": "#######"
    }  # fmt: skip
    nothing = make_mask("a,b,c", mask_char="\\", mask_keep=0, mask_digits=0)
    assert json.loads(apply(nothing, before)) == {
        "a": r"\\\@\\\.com", "b": r"+\\ \\\ \\\-\\\\", "c": "\\" * 3, "d": "1234567"
    }  # fmt: skip


def test_a_length_does_not_show(apply) -> None:
    masks = {apply(make_mask("a"), json.dumps({"a": "J" * n}).encode()) for n in range(4, 99)}
    assert masks == {b'{"a":"J***"}'}


@pytest.mark.parametrize(
    "options",
    [{"mask_char": "**"}, {"mask_char": ""}, {"mask_char": "\n"}, {"mask_char": " "},
     {"mask_keep": "5"}, {"mask_keep": "-1"}, {"mask_digits": "many"}, {"char": "x"}],
)  # fmt: skip
def test_options_are_checked(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        MaskOptions().load(options)


@pytest.mark.parametrize("path", ["distinct_id", "$distinct_id", "$last_seen"])
def test_the_columns_cannot_be_masked(path: str) -> None:
    with pytest.raises(ConfigError, match=r"use (hash:distinct_id|drop)"):
        make_mask(f"a,{path}")
