"""What a jobs file may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from mixpanel_fetch.durations import duration_of, share_of
from mixpanel_fetch.model import MODES, REGIONS
from mixpanel_fetch.query import Subject
from mixpanel_fetch.schemas import TextField
from mixpanel_fetch.sync import Deletion


class _Written(fields.Field[Any]):
    """A text that ``read`` understands; ``words`` are texts that stand for other values."""

    def __init__(self, read: Callable[[str], Any], words: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._read = read
        self._words = words or {}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("must be text")
        if value in self._words:
            return self._words[value]
        try:
            return self._read(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class _PageSize(fields.Field[Any]):
    """A number of profiles, or ``auto``."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int | str:
        if value == "auto" or (type(value) is int and value > 0):
            return value  # type: ignore[no-any-return]
        raise ValidationError("must be a whole number from 1 on, or auto")


def _at_least(least: int) -> Any:
    return fields.Integer(strict=True, validate=validate.Range(min=least))


def _texts() -> Any:
    return fields.List(TextField(), validate=validate.Length(min=1))


class JobSchema(Schema):
    """One job; the keys are called as the options of ``mp fetch`` are."""

    class Meta:
        """A misspelt key must not pass in silence."""

        unknown = RAISE

    every = _Written(duration_of)
    table = fields.String(validate=validate.Length(min=1))
    # Whom to ask, and where to land.
    account = fields.String()
    project_id = TextField()
    region = fields.String(validate=validate.OneOf(list(REGIONS)))
    workspace_id = TextField()
    destination = fields.String()
    plugins = _texts()
    max_wait = fields.Float(validate=validate.Range(min=0))
    max_concurrency = _at_least(1)
    shared_quota = fields.Boolean()
    # What to ask for.
    subject = fields.String(validate=validate.OneOf(get_args(Subject)))
    cohorts = _texts()
    where = fields.String()
    cohort = TextField()
    include_all_users = fields.Boolean()
    distinct_ids = fields.List(fields.String())
    group = fields.String()
    group_id = TextField()
    output_properties = fields.List(fields.String())
    behaviors = fields.Raw()
    as_of_timestamp = fields.Integer(strict=True)
    utc_offset = fields.Float()
    # How it gets into the table.
    mode = fields.String(validate=validate.OneOf(MODES))
    incremental = fields.Boolean()
    full = fields.Boolean()
    full_every = _Written(duration_of, {"never": None})
    overlap = _Written(duration_of)
    delete = fields.String(validate=validate.OneOf(get_args(Deletion)))
    max_gone = _Written(share_of)
    history = fields.Boolean()
    # How to fetch.
    parallel = fields.Boolean()
    workers = _at_least(1)
    strategy = fields.String()
    transforms = fields.List(fields.String())
    options = fields.Dict(keys=fields.String(), values=TextField())
    page_size = _PageSize()
    batch_size = _at_least(1)
    allow_partial = fields.Boolean()
    allow_empty = fields.Boolean()
    allow_missing = _at_least(0)
    strict = fields.Boolean()
    # The columns, afterwards.
    columns = fields.Boolean()
    schema = fields.String()
    on_drift = fields.String(validate=validate.OneOf(["warn", "fail", "evolve"]))
    null_texts = fields.Boolean()


class JobsSchema(Schema):
    """A jobs file (TOML): ``[defaults]`` for every job, ``[jobs.NAME]`` for each."""

    class Meta:
        """A misspelt table must not pass in silence."""

        unknown = RAISE

    defaults = fields.Dict(keys=fields.String(), values=fields.Raw())
    jobs = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1)),
        values=fields.Dict(keys=fields.String(), values=fields.Raw()),
        required=True,
        validate=validate.Length(min=1, error="there must be a job: [jobs.NAME]"),
        error_messages={"required": "there must be a job: [jobs.NAME]"},
    )
