"""What a user may set, and the place and the habits that it comes to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from marshmallow import Schema, ValidationError, fields, validate

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.sizes import bytes_of

STORAGE = (
    *("access_key_id", "secret_access_key", "session_token", "region", "endpoint_url"),
    *("allow_http", "virtual_hosted_style_request", "skip_signature"),
)
_SECRETS = ("access_key_id", "secret_access_key", "session_token")
_SMALLEST_MEMORY = "100MB"
_SCHEMES = ("s3://", "s3a://")


def _size(smallest: str) -> Any:
    def check(size: str) -> None:
        try:
            found = bytes_of(size)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if found < bytes_of(smallest):
            raise ValidationError(f"must be at least {smallest}, not {size}")

    return check


class DeltaOptions(Schema):
    """The options of ``delta://``.

    ``memory_limit``: what DuckDB may take while it puts files together (default 100MB).
    ``file_size``: how much is put together in one file of a table (default 64MB).
    ``compact_after``: how many small files a table may have before they are put together (default
    20; 0: they stay). ``keep``: for how many days old versions can be read; after that, a run
    deletes their files (default 7). ``vacuum``: false leaves that to somebody else.

    The others are for object stores, and beat the environment: ``access_key_id``,
    ``secret_access_key``, ``session_token``, ``region``, ``endpoint_url``, ``allow_http``,
    ``virtual_hosted_style_request``, ``skip_signature``.
    """

    memory_limit = fields.String(load_default="100MB", validate=_size(_SMALLEST_MEMORY))
    file_size = fields.String(load_default="64MB", validate=_size("1KB"))
    compact_after = fields.Integer(load_default=20, validate=validate.Range(min=0))
    keep = fields.Float(load_default=7.0, validate=validate.Range(min=0))
    vacuum = fields.Boolean(load_default=True)
    access_key_id = fields.String()
    secret_access_key = fields.String()
    session_token = fields.String()
    region = fields.String()
    endpoint_url = fields.String()
    allow_http = fields.Boolean()
    virtual_hosted_style_request = fields.Boolean()
    skip_signature = fields.Boolean()


@dataclass(frozen=True)
class Habits:
    """How files are written and looked after. Sizes in bytes, ``keep`` in days."""

    memory: int
    file_size: int
    compact_after: int
    keep: float
    vacuum: bool


@dataclass(frozen=True)
class Target:
    """Where the tables are: a folder, or a URL with what the object store wants to know."""

    folder: Path | None
    url: str
    storage: Mapping[str, Secret]
    habits: Habits

    @classmethod
    def of(cls, location: str, options: Mapping[str, Any]) -> Target:
        """Read a location and options. Raises ConfigError."""
        try:
            given = DeltaOptions().load(dict(options))
        except ValidationError as error:
            raise ConfigError(f"the delta sink takes no such options: {_words(error)}") from None
        storage = {name: given.pop(name) for name in STORAGE if name in given}
        habits = Habits(
            memory=bytes_of(given["memory_limit"]),
            file_size=bytes_of(given["file_size"]),
            compact_after=given["compact_after"],
            keep=given["keep"],
            vacuum=given["vacuum"],
        )
        if "://" in location:
            return cls(None, _url(location), _told(storage), habits)
        if storage:
            raise ConfigError(
                f"the option {min(storage)} is for an object store, and {unquote(location)!r} is a"
                " folder; write delta://s3://BUCKET/PREFIX"
            )
        return cls(_folder(location), "", {}, habits)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What no message may show."""
        return secrets_of(self.storage)


def secrets_of(storage: Mapping[str, Secret]) -> tuple[Secret, ...]:
    """Return what no message may show of what a store is told."""
    return tuple(storage[name] for name in _SECRETS if name in storage)


def _words(error: ValidationError) -> str:
    return "; ".join(f"{name}: {' '.join(words)}" for name, words in error.messages_dict.items())


def _folder(location: str) -> Path:
    text = unquote(location)
    if not text or "\0" in text:
        raise ConfigError("delta:// needs a folder for its tables, as in delta://lake")
    path = Path(text).expanduser().absolute()
    _require_plain(str(path))
    return path


def _require_plain(path: str) -> None:
    # It decodes them in some places and not in others.
    if "%" in path or "\\" in path:
        raise ConfigError(f"{path}: the library deltalake takes no % and no \\ in a path")


def _url(location: str) -> str:
    scheme = next((one for one in _SCHEMES if location.startswith(one)), None)
    bucket, _, prefix = location.partition("://")[2].partition("/")
    if scheme is None:
        raise ConfigError(
            f"the delta sink has no tables in {location.partition('://')[0]}://;"
            " write a folder, or s3://BUCKET/PREFIX"
        )
    if not bucket or "@" in bucket or ":" in bucket:
        raise ConfigError(
            "an object store is written s3://BUCKET/PREFIX, its keys are in AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, its address is the option endpoint_url"
        )
    path = "/".join(part for part in unquote(prefix).split("/") if part)
    _require_plain(path)
    return f"s3://{bucket}/{path}".rstrip("/")


def _told(storage: Mapping[str, Any]) -> dict[str, Secret]:
    """Return every storage option as text; the environment may allow plain HTTP, too."""
    told = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in storage.items()
    }
    allowed = os.environ.get("AWS_ALLOW_HTTP")
    if allowed is not None:
        told.setdefault("allow_http", allowed.lower())
    return {name: Secret(text) for name, text in told.items()}
