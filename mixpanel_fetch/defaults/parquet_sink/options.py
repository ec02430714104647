"""What a user may set."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mixpanel_fetch.defaults.parquet_sink.targets import PARTITIONS

COMPRESSIONS = ("zstd", "snappy", "gzip", "uncompressed")


def _endpoint(url: str) -> None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises ValueError)
    except ValueError:
        raise ValidationError("is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError("write http://HOST:PORT or https://HOST")
    if parts.username is not None or parts.password is not None or parts.query:
        raise ValidationError("holds more than scheme, host, port and path")


class ParquetOptions(Schema):
    """``compression``: zstd, snappy, gzip or uncompressed. ``row_group_size``: rows, from 2048;
    by default as many as hold 64 MB of properties, and 122880 at most.

    ``partition``: load_date writes LOCATION/load_date=YYYY-MM-DD/part-0.parquet, by the day in UTC
    on which the fetch started; none writes LOCATION itself. By default load_date in an object
    store, none on this machine.

    ``timeout``: of object stores, how many seconds one request may take (default 60).
    ``endpoint``: of s3://, the URL of a store that speaks as S3 does, by default that of
    AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon. ``region``: of s3://, the bucket's, by
    default that of AWS_REGION or the profile. ``profile``: of s3://, which one of the AWS
    configuration counts. ``access_key_id``, ``secret_access_key``, ``session_token``: of s3://, in
    place of the credentials of the environment, the profile or the machine.
    """

    compression = fields.String(load_default="zstd", validate=validate.OneOf(COMPRESSIONS))
    row_group_size = fields.Integer(load_default=None, validate=validate.Range(min=2048))
    partition = fields.String(validate=validate.OneOf(PARTITIONS))
    timeout = fields.Float(validate=validate.Range(min=1, max=3600))
    endpoint = fields.String(validate=_endpoint)
    region = fields.String(validate=validate.Length(min=1))
    profile = fields.String(validate=validate.Length(min=1))
    access_key_id = fields.String(validate=validate.Length(min=1))
    secret_access_key = fields.String(validate=validate.Length(min=1))
    session_token = fields.String(validate=validate.Length(min=1))

    @validates_schema
    def _keys_come_in_pairs(self, data: dict[str, Any], **_: Any) -> None:
        pair = {"access_key_id", "secret_access_key"}
        missing = pair - data.keys()
        if missing and (len(missing) == 1 or "session_token" in data):
            raise ValidationError("is needed beside the others", min(missing))
