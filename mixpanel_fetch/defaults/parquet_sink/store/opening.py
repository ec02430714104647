"""A bucket of a store, by its scheme, with the credentials that the user has."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.defaults.parquet_sink.store.settings import StoreSettings
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import redact_uri

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_RETRIES = 5


def opened(scheme: str, bucket: str, settings: StoreSettings) -> ObjectStore:
    """Return the store; nothing is sent yet. Raises ConfigError.

    Google's and Azure's settings come from the environment alone, as obstore reads them.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store, from_url

        from mixpanel_fetch.defaults.parquet_sink.store.aws import aws_region, credentials
    except ImportError as error:
        missing = (error.name or "a package").partition(".")[0]
        raise ConfigError(
            f"{scheme}:// needs more than is installed ({missing} is missing):"
            " pip install 'mixpanel-fetch[object-store]'"
        ) from None
    endpoint = settings.endpoint_of(scheme)
    common: dict[str, Any] = {
        "client_options": {
            "allow_http": (endpoint or "").startswith("http://"),
            "timeout": timedelta(seconds=settings.timeout),
        },
        "retry_config": {
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=2 * settings.timeout),
        },
    }
    try:
        if scheme != "s3":
            return from_url(f"{scheme}://{bucket}", **common)
        config = {
            "endpoint": endpoint and endpoint.rstrip("/"),
            "region": settings.region or os.environ.get("AWS_REGION") or aws_region(settings),
        }
        given: Any = {name: value for name, value in config.items() if value}
        return S3Store(bucket, config=given, **credentials(settings), **common)
    except (BaseError, ValueError) as error:
        line = redact_uri(str(error).split("\n", maxsplit=1)[0])
        raise ConfigError(f"cannot use {scheme}://{bucket}: {line}") from None
