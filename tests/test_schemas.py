"""The schemas' own rules, and validation errors as one line."""

from __future__ import annotations

import pytest
from marshmallow import Schema, ValidationError, fields

from mixpanel_fetch.schemas import AccountSchema, ConfigSchema, EnvelopeSchema, one_line


class Inner(Schema):
    n = fields.Integer(required=True)


class Outer(Schema):
    inner = fields.Nested(Inner)
    many = fields.List(fields.Integer())
    table = fields.Dict(values=fields.Nested(Inner))
    name = fields.String()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"name": 5}, "name: not a valid string"),
        ({"inner": {}}, "inner.n: missing data for required field"),
        ({"inner": 5}, "inner: invalid input type"),
        ({"many": [1, "x"]}, "many.1: not a valid integer"),
        ({"odd": 1}, "odd: unknown field"),
        ({"odd": 1, "name": 5}, "name: not a valid string; odd: unknown field"),
        ([], "Invalid input type"),
    ],
)
def test_a_validation_error_is_one_line_that_names_each_field(given, line):
    with pytest.raises(ValidationError) as caught:
        Outer().load(given)
    assert one_line(caught.value) == line


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ("Only words.", "only words"),
        (["One.", "Two."], "one; two"),
        ({"a": ["First.", "Second."], "b": {"c": "Third."}}, "a: first; a: second; b.c: third"),
    ],
)
def test_whatever_a_validator_raises_becomes_one_line(messages, line):
    # _schema is marshmallow's own key for what belongs to no field: it names nothing.
    said = one_line(ValidationError(messages))
    assert said.lower() == line
    assert "_schema" not in said


def test_an_answer_may_grow_fields():
    assert EnvelopeSchema().load({"results": [], "later": {"x": 1}}) == {
        "results": [],
        "page": None,
        "page_size": None,
        "session_id": None,
        "total": None,
        "status": "ok",
    }


@pytest.mark.parametrize(
    "given",
    [
        {"username": "u", "secret": "s", "project_id": 7, "region": "eu", "workspace_id": "8"},
        {"api_secret": "x", "destination": "jsonl://-"},
        {"api_base_url": "http://localhost:8000"},
        {"api_base_url": "http://127.0.0.1:8000/proxy"},
        {"api_base_url": "https://proxy.example.com"},
    ],
)
def test_an_account_is_taken(given):
    loaded = AccountSchema().load(given)
    assert loaded == {**given, **({"project_id": "7"} if "project_id" in given else {})}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user": "u"}, "user"),
        ({"username": ["u"]}, "username"),
        ({"project_id": True}, "project_id"),
        ({"project_id": 7.0}, "project_id"),
        ({"region": "mars"}, "region"),
        ({"api_base_url": "ftp://x"}, "api_base_url"),
        ({"api_base_url": "nonsense"}, "api_base_url"),
        ({"destination": 5}, "destination"),
    ],
)
def test_a_setting_of_another_type_or_name_is_refused(given, field):
    with pytest.raises(ValidationError) as caught:
        AccountSchema().load(given)
    assert one_line(caught.value).startswith(f"{field}: ")
    with pytest.raises(ValidationError):
        ConfigSchema().load({"accounts": {"prod": given}})


def test_a_setting_of_an_account_is_named_as_it_stands_in_the_file():
    with pytest.raises(ValidationError) as caught:
        ConfigSchema().load({"accounts": {"prod": {"user": "u"}}})
    assert one_line(caught.value) == "accounts.prod.user: unknown field"


def test_plugin_tables_are_for_the_plugins_to_check():
    given = {"plugins": {"duckdb": {"memory_limit": "1GB", "threads": 2, "list": [1]}}}
    assert ConfigSchema().load(given) == given


def test_a_plugin_table_is_a_table():
    with pytest.raises(ValidationError):
        ConfigSchema().load({"plugins": {"duckdb": 5}})
