"""What to say of credentials that are refused: which setting is wrong, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence

from mixpanel_fetch.config import SETTINGS, Settings
from mixpanel_fetch.diagnosis.asking import Outcome
from mixpanel_fetch.errors import AuthenticationError
from mixpanel_fetch.model import REGIONS, Credentials

_LONGEST = 60  # characters of a name


def place_of(settings: Settings, name: str) -> str:
    """Return where setting ``name`` stands, or should, for a person to go and change it."""
    origin = settings.origins.get(name)
    selection = settings.selection
    if origin is not None and origin.source == "file" and not origin.name:
        return f"{name} in the configuration file"
    in_account = selection is not None and not selection.ousted
    if selection is None or not in_account or (origin and origin.source == "environment"):
        return SETTINGS[name]
    return f"{name} under [accounts.{selection.name}]"


def no_access(settings: Settings, who: Credentials) -> AuthenticationError:
    """Return the error of credentials that are good, but not for the project."""
    return AuthenticationError(
        f"the credentials are good, but not for project {who.project_id or '(none)'} (403); correct"
        f" {place_of(settings, 'project_id')}, or have the account added to the project",
        status=403,
    )


def known_elsewhere(settings: Settings, who: Credentials, found: Outcome) -> AuthenticationError:
    """Return the error of a wrong region, where another is known to be the right one."""
    good = found.error is None and who.project_id
    what = f"project {who.project_id} answers" if good else "these credentials are known"
    return AuthenticationError(
        f"{what} in region {found.region}, not in {who.region}; set"
        f" {place_of(settings, 'region')} to {found.region}",
        status=401,
    )


def refused(
    settings: Settings, who: Credentials, everywhere: Sequence[Outcome]
) -> AuthenticationError:
    """Return the error of credentials that nobody knows; ``everywhere`` begins with their own."""
    here = everywhere[0]
    status = 401 if here.answer is None else here.answer.status
    said = f"refused {_where(everywhere)} ({status})"
    if not (who.username and who.secret):
        return AuthenticationError(
            f"the project secret is {said}: it is wrong, or retired as all will be on 2027-03-03;"
            " make a service account and `mp auth add` it",
            status=status,
        )
    selection, origin = settings.selection, settings.origins.get("username")
    if selection and origin and origin.source == "file" and origin.name:
        remedy = f"`mp auth add {selection.name} --replace` takes others"
    else:
        places = place_of(settings, "username"), place_of(settings, "secret")
        remedy = f"correct {places[0]} and {places[1]}, or make a new service account"
    return AuthenticationError(
        f"user {who.username[:_LONGEST]!r} with this secret is {said}; {remedy}", status=status
    )


def _where(everywhere: Sequence[Outcome]) -> str:
    if len(everywhere) == 1:
        return f"by {everywhere[0].host}"
    if len(everywhere) == len(REGIONS):
        return "in every region"
    return f"in regions {' and '.join(one.region for one in everywhere)}"
