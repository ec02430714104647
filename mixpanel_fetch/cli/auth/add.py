"""``mp auth add``."""

from __future__ import annotations

import os
from typing import Any

import click

from mixpanel_fetch.cli.auth.secrets import is_asked, secret_given
from mixpanel_fetch.cli.auth.shared import note_what_wins, store
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import REGIONS, Credentials

_QUESTIONS = {"username": "Service account's user name", "project_id": "Project id"}


class _Number(click.ParamType):  # type: ignore[type-arg]
    """The number of a project or of a data view, as text."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not (text.isascii() and text.isdigit()):
            self.fail("a number is needed, not a token or a name", param, ctx)
        return text


_NUMBER = _Number()


@click.command()
@click.argument("name")
@click.option("--username", metavar="NAME", help="The service account's user name.")
@click.option("--project-id", type=_NUMBER, metavar="N", help="The project's number.")
@click.option("--region", type=click.Choice(list(REGIONS)), help="Where the project's data are.")
@click.option("--workspace-id", type=_NUMBER, metavar="N", help="A data view's number.")
@click.option("--api-base-url", metavar="URL", help="A simulator's or proxy's scheme and host.")
@click.option("--destination", metavar="URI", help="Where this account's profiles go.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from stdin.")
@click.option(
    "--project-secret",
    is_flag=True,
    help="The secret is a project's, which needs no user name; retired on 2027-03-03.",
)
@click.option("--keyring/--no-keyring", default=True, help="Whether the secret may go there.")
@click.option("--replace", is_flag=True, help="Take the place of the account of that name.")
@click.pass_obj
def add(output: Output, /, name: str, **given: Any) -> None:
    """Store an account under NAME.

    Asks for what is missing on a terminal; elsewhere MP_USERNAME, MP_PROJECT_ID, MP_REGION and
    MP_SECRET fill in. The secret goes into the keyring where there is one (pip install
    'mixpanel-fetch[keyring]'), else into the configuration file, which nobody else can read. The
    first account becomes the default.
    """
    accounts = store()
    accounts.check_new(name, replace=given["replace"])
    there = name in accounts.read().accounts
    of_project = given["project_secret"]
    values = _values(given, of_project=of_project)
    secret = secret_given(of_project=of_project, from_stdin=given["secret_stdin"])
    _check(values, secret)
    kept = accounts.add(name, values, secret, replace=given["replace"], keyring=given["keyring"])
    where = "in the keyring" if kept == "keyring" else f"in {accounts.path}"
    what = "replaced" if there else "added"
    output.note(f"mp: account {name} is {what}, its secret {where}")
    if of_project:
        output.note(
            "mp: warning: Mixpanel retires project secrets on 2027-03-03; make a service account"
        )
    default = accounts.read().default == name
    which = "it is the default account; " if default else ""
    output.note(f"mp: {which}try it: `mp auth test {name}`")
    if default:
        note_what_wins(output)


def _values(given: dict[str, Any], *, of_project: bool) -> dict[str, str]:
    """Return the account's settings but its secret."""
    values = {
        "username": None if of_project else _answer(given, "username", "MP_USERNAME"),
        "project_id": given["project_id"]
        if of_project
        else _answer(given, "project_id", "MP_PROJECT_ID", _NUMBER),
        "region": _region(given),
        "workspace_id": given["workspace_id"],
        "api_base_url": given["api_base_url"],
        "destination": given["destination"],
    }
    return {key: value for key, value in values.items() if value is not None}


def _answer(
    given: dict[str, Any],
    key: str,
    variable: str,
    kind: click.ParamType | None = None,  # type: ignore[type-arg]
) -> str:
    if given[key]:
        return str(given[key])
    known = os.environ.get(variable) or None
    if is_asked() and not given["secret_stdin"]:
        return str(click.prompt(_QUESTIONS[key], default=known, type=kind, err=True)).strip()
    if known is None:
        raise ConfigError(f"an account needs --{key.replace('_', '-')}, or {variable}")
    return known


def _region(given: dict[str, Any]) -> str:
    if given["region"]:
        return str(given["region"])
    known = os.environ.get("MP_REGION") or "us"
    if is_asked() and not given["secret_stdin"]:
        choice = click.Choice(list(REGIONS))
        return str(click.prompt("Region", default=known, type=choice, err=True))
    return known


def _check(values: dict[str, str], secret: Any) -> None:
    """Raise ConfigError for what could not work."""
    from marshmallow import ValidationError

    from mixpanel_fetch.config import Destination
    from mixpanel_fetch.schemas import AccountSchema, one_line

    try:
        AccountSchema().load(values)
    except ValidationError as error:
        raise ConfigError(one_line(error)) from None
    if "destination" in values:
        Destination.parse(values["destination"])
    who = {key: values.get(key) for key in ("username", "project_id", "workspace_id")}
    kind = "secret" if values.get("username") else "api_secret"
    Credentials(**who, region=values["region"], **{kind: secret})  # type: ignore[arg-type]
