"""What a user may set."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema


class JsonlOptions(Schema):
    """The options of ``jsonl://``; the shapes stand in :mod:`~.lines`.

    ``raw``: write profiles as Mixpanel sends them, ``$distinct_id`` and ``$properties``.

    ``token``: with raw, write updates that Mixpanel imports (``$set``), for the project with this
    token.
    """

    raw = fields.Boolean(load_default=False)
    token = fields.String(validate=validate.Length(min=1))

    @validates_schema
    def _token_belongs_to_raw_lines(self, data: dict[str, Any], **_: Any) -> None:
        if "token" in data and not data["raw"]:
            raise ValidationError("goes with raw=true only", "token")
