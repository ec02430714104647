"""marshmallow schemas: what comes from outside is checked here, what goes out is shaped here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate

TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
MOST_PROFILES = 10**12
"""No project has as many; a number beyond is no count, and no store's integer may hold it."""
LONGEST_SESSION_ID = 1024


def one_line(error: ValidationError) -> str:
    """Return a validation error as one line: ``field: what is wrong; field: …``."""
    return "; ".join(_flatten(error.messages))


def _flatten(messages: object, path: str = "") -> list[str]:
    if isinstance(messages, Mapping):
        # "_schema" and a dict field's "value" are marshmallow's words, not names the user gave.
        return [
            line
            for key, value in messages.items()
            for line in _flatten(
                value, path if key in {"_schema", "value"} else f"{path}.{key}".strip(".")
            )
        ]
    if isinstance(messages, list):
        return [line for value in messages for line in _flatten(value, path)]
    text = str(messages).rstrip(".")
    return [f"{path}: {text[:1].lower()}{text[1:]}" if path else text]


def _count(least: int) -> dict[str, Any]:
    return {
        "strict": True,
        "load_default": None,
        "validate": validate.Range(min=least, max=MOST_PROFILES),
    }


def _printable(text: str) -> None:
    if not text.isprintable():
        raise ValidationError("Must be printable.")


class EnvelopeSchema(Schema):
    """An Engage answer around its rows ("Query Profiles", 200).

    ``results`` is checked to be there; its rows are checked one by one as they are decoded.
    ``total`` comes with page 0 and may be absent from the others.
    """

    class Meta:
        """Fields that the API adds later are no error."""

        unknown = EXCLUDE

    results = fields.Raw(required=True)
    page = fields.Integer(**_count(0))
    page_size = fields.Integer(**_count(1))
    session_id = fields.String(
        load_default=None, validate=[validate.Length(min=1, max=LONGEST_SESSION_ID), _printable]
    )
    total = fields.Integer(allow_none=True, **_count(0))
    status = fields.String(load_default="ok", validate=validate.Equal("ok"))


class CohortSchema(Schema):
    """One cohort of the list ("List Saved Cohorts", 200); only its id must be there."""

    class Meta:
        """Fields that the API adds later are no error."""

        unknown = EXCLUDE

    id = fields.Integer(required=True, strict=True, validate=validate.Range(min=0, max=2**63 - 1))
    name = fields.String(load_default="")
    count = fields.Integer(allow_none=True, **_count(0))
    description = fields.String(allow_none=True, load_default=None)
    created = fields.String(allow_none=True, load_default=None)
    is_visible = fields.Boolean(allow_none=True, load_default=None)


class ProgressSchema(Schema):
    """A :class:`~mixpanel_fetch.model.ProfileBatchProgress`."""

    page_index = fields.Integer()
    total_pages = fields.Integer()
    rows = fields.Integer()
    success = fields.Boolean()
    error = fields.String(allow_none=True)


class FailureSchema(Schema):
    """A :class:`~mixpanel_fetch.model.PageFailure`, its error as one line."""

    page = fields.Integer(attribute="index")
    stage = fields.String()
    error = fields.Function(lambda failure: " ".join(str(failure.error).split()))
    attempts = fields.Integer()


class ResultSchema(Schema):
    """A result: the contract's fields in its order ("Output (JSON)"), then the others."""

    table = fields.String()
    total_rows = fields.Integer()
    successful_pages = fields.Integer()
    failed_pages = fields.Integer()
    failed_page_indices = fields.List(fields.Integer())
    duration_seconds = fields.Function(lambda result: round(result.duration_seconds, 3))
    fetched_at = fields.AwareDateTime(format=TIMESTAMP)
    has_failures = fields.Boolean()
    run_id = fields.String()
    mode = fields.String()
    destination = fields.String()
    published = fields.Boolean()
    interrupted = fields.Boolean()
    page_size = fields.Integer()
    total_pages = fields.Integer()
    rows_received = fields.Integer()
    rows_dropped = fields.Integer()
    duplicate_rows = fields.Integer()
    rejected_rows = fields.Integer()
    missing_rows = fields.Integer()
    short_pages = fields.List(fields.Integer())
    repaired_values = fields.Integer()
    inserted = fields.Integer(allow_none=True)
    updated = fields.Integer(allow_none=True)
    unchanged = fields.Integer(allow_none=True)
    gone = fields.Integer(allow_none=True)
    sync = fields.String(allow_none=True)
    retries = fields.Integer()
    resumable = fields.Boolean()
    strict = fields.Boolean()
    allowed_missing = fields.Integer()
    warnings = fields.List(fields.String())
    failures = fields.List(fields.Nested(FailureSchema))


class TextField(fields.Field[str]):
    """A text; a number is taken as its digits, since TOML users write ids without quotes."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise ValidationError("must be text")


def _group_number(text: str) -> None:
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not -(2**63) <= int(text) < 2**63:
        raise ValidationError("must be the group key's number, of up to 19 digits")


class AccountSchema(Schema):
    """The settings of one account, at the file's top level or under ``[accounts.NAME]``.

    ``groups`` gives the number of each group key by its name. ``keyring`` names the keyring's
    entry that holds the secret (of a project, where there is no ``username``), in place of
    ``secret`` or ``api_secret``.
    """

    class Meta:
        """A misspelt setting must not pass in silence."""

        unknown = RAISE

    username = TextField()
    secret = TextField()
    project_id = TextField()
    region = fields.String(validate=validate.OneOf(["us", "eu", "in"]))
    workspace_id = TextField()
    api_secret = TextField()
    keyring = fields.String()
    api_base_url = fields.Url(require_tld=False, schemes={"http", "https"})
    destination = fields.String()
    groups = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1)),
        values=TextField(validate=_group_number),
    )


class ConfigSchema(AccountSchema):
    """The configuration file (TOML). ``default`` names the account that counts by itself."""

    default = fields.String()
    accounts = fields.Dict(keys=fields.String(), values=fields.Nested(AccountSchema))
    plugins = fields.Dict(
        keys=fields.String(), values=fields.Dict(keys=fields.String(), values=fields.Raw())
    )
