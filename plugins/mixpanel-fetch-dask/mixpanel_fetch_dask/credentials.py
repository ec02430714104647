"""Credentials that stay where they are: taken out of what travels, filled in where it arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Credentials, Secret
from mixpanel_fetch.protocols import PageFetcher
from mixpanel_fetch_dask.leases import project_digest

if TYPE_CHECKING:
    from mixpanel_fetch.client_settings import ClientSettings


def without_credentials(fetcher: PageFetcher) -> PageFetcher:
    """Return ``fetcher`` without credentials and without an address, which may hold some."""
    settings = settings_of(fetcher)
    region, workspace = settings.credentials.region, settings.credentials.workspace_id
    nobody = Credentials(api_secret=Secret("-"), region=region, workspace_id=workspace)
    return _with_settings(fetcher, replace(settings, credentials=nobody, base_url=None))


def with_own_credentials(
    fetcher: PageFetcher, digest: str, account: str | None = None
) -> PageFetcher:
    """Return ``fetcher`` with the credentials of this process's environment or configuration.

    The data view stays the fetch's own. Raises ConfigError where there are none, or where they are
    for another project or host than ``digest`` stands for.
    """
    from mixpanel_fetch.config import load_settings

    sent = settings_of(fetcher)
    try:
        own = load_settings(account)
        credentials = replace(own.credentials(), workspace_id=sent.credentials.workspace_id)
    except ConfigError as error:
        raise ConfigError(f"a Dask worker has to use its own credentials: {error}") from None
    settings = replace(sent, credentials=credentials, base_url=own.api_base_url)
    if project_digest(settings) != digest:
        raise ConfigError(
            "the credentials of a Dask worker are for another project, region or API address than"
            " this fetch; set MP_PROJECT_ID and the rest of MP_* there, or name an account of its"
            " configuration file with -o account=NAME"
        )
    return _with_settings(fetcher, settings)


def settings_of(fetcher: PageFetcher) -> ClientSettings:
    """Return the settings that a fetcher carries. Raises ConfigError where there are none."""
    settings: ClientSettings | None = getattr(fetcher, "settings", None)
    if settings is None:
        raise ConfigError(
            f"{type(fetcher).__name__} has no settings to take credentials out of; fetch with"
            " -o credentials=travel"
        )
    return settings


def _with_settings(fetcher: Any, settings: ClientSettings) -> PageFetcher:
    fetcher_with: PageFetcher = replace(fetcher, settings=settings)
    return fetcher_with
