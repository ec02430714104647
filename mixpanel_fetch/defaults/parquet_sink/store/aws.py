"""AWS credentials: those that were given, else those of AWS's own chain, by botocore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.exceptions import BotoCoreError

from mixpanel_fetch.defaults.parquet_sink.store.settings import StoreSettings
from mixpanel_fetch.errors import ConfigError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_RENEWED = timedelta(minutes=5)
"""How long credentials are used before botocore is asked again; it renews them in time."""


class AwsChain:
    """Environment, profile, single sign-on, container, machine: as the AWS tools look for them."""

    def __init__(self, found: Credentials) -> None:
        self._found = found

    def __call__(self) -> dict[str, Any]:
        """Return what obstore asks for before requests, from a thread of its own."""
        frozen = self._found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(timezone.utc) + _RENEWED,
        }


def credentials(settings: StoreSettings) -> Mapping[str, Any]:
    """Return what S3Store takes for credentials. Raises ConfigError where there are none."""
    if settings.access_key_id is not None:
        given = {
            "access_key_id": settings.access_key_id,
            "secret_access_key": settings.secret_access_key,
            "session_token": settings.session_token,
        }
        return {name: value for name, value in given.items() if value is not None}
    with _reporting():
        found = _session(settings).get_credentials()
    if found is None:
        raise ConfigError(
            "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or"
            " AWS_PROFILE, or write access_key_id and secret_access_key under [plugins.parquet]"
        )
    return {"credential_provider": AwsChain(found)}


def aws_region(settings: StoreSettings) -> str | None:
    """Return the region of the environment or the profile. Raises ConfigError."""
    with _reporting():
        region: str | None = _session(settings).get_config_variable("region")
    return region


def _session(settings: StoreSettings) -> botocore.session.Session:
    return botocore.session.Session(profile=settings.profile)


@contextmanager
def _reporting() -> Iterator[None]:
    try:
        yield
    except BotoCoreError as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"AWS credentials: {line}") from None
