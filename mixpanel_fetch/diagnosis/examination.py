"""One question to the project, and what its answer says of the settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mixpanel_fetch.config import Settings
from mixpanel_fetch.diagnosis.asking import Asker, Outcome
from mixpanel_fetch.diagnosis.clocks import clock_drift, explained_by_clock
from mixpanel_fetch.diagnosis.remedies import known_elsewhere, no_access, place_of, refused
from mixpanel_fetch.errors import (
    AuthenticationError,
    ConfigError,
    RateLimitError,
    TransportError,
)


@dataclass(frozen=True)
class Access:
    """What a project answered: how many profiles it has, and how many queries the hour has left.

    ``queries_left`` is None where nothing tells.
    """

    project_id: str | None
    region: str
    host: str
    profiles: int
    queries_left: int | None = None
    warnings: tuple[str, ...] = ()


def examine(settings: Settings, **client: Any) -> Access:
    """Ask the project of ``settings`` for one profile, and say what came of it.

    That is one counted query of the hour's; a refusal does not count. Where a region refuses the
    credentials, or has no profiles, the others are asked with the same ones, unless
    ``api_base_url`` is set. ``client`` are keywords of
    :class:`~mixpanel_fetch.client.MixpanelAPIClient`.

    Raises a MixpanelFetchError that says which setting is wrong and what to do.
    """
    credentials = settings.credentials()
    asker = Asker(credentials, settings.api_base_url, client)
    here = asker.ask(credentials.region)
    if isinstance(here.error, AuthenticationError):
        raise _refusal(settings, asker, here)
    if isinstance(here.error, TransportError) and here.error.expired:
        raise explained_by_clock(here.error, here.host)
    if isinstance(here.error, RateLimitError):
        raise _later(here.error)
    if here.error is not None:
        raise here.error
    warnings = [] if here.answer is None else list(clock_drift(here.answer))
    if here.profiles == 0:
        warnings.append(_emptiness(settings, asker, here))
    return Access(
        project_id=credentials.project_id,
        region=credentials.region,
        host=here.host,
        profiles=here.profiles,
        queries_left=here.queries_left,
        warnings=tuple(warnings),
    )


def _refusal(settings: Settings, asker: Asker, here: Outcome) -> AuthenticationError:
    if here.knows_us:
        return no_access(settings, asker.credentials)
    others = asker.elsewhere(here.region)
    found = next((one for one in others if one.knows_us), None)
    if found is not None:
        return known_elsewhere(settings, asker.credentials, found)
    return refused(settings, asker.credentials, [here, *others])


def _later(error: RateLimitError) -> RateLimitError:
    seconds = error.retry_after
    when = "later" if seconds is None else f"in {math.ceil(seconds / 60)} min"
    return RateLimitError(
        f"{error}; try again {when}", retry_after=error.retry_after, limit=error.limit
    )


def _emptiness(settings: Settings, asker: Asker, here: Outcome) -> str:
    full = next((one for one in asker.elsewhere(here.region) if one.profiles), None)
    if full is not None:
        raise ConfigError(
            f"the project has {full.profiles:,} profiles in region {full.region}, none in"
            f" {here.region}; set {place_of(settings, 'region')} to {full.region}"
        )
    return (
        f"no profiles; if there should be some, check {place_of(settings, 'region')}, and where"
        f" the project has data views {place_of(settings, 'workspace_id')}"
    )
