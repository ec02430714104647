"""``mp auth remove``."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.auth.secrets import is_asked
from mixpanel_fetch.cli.auth.shared import store
from mixpanel_fetch.cli.completion.types import ACCOUNT
from mixpanel_fetch.cli.output import Output


@click.command()
@click.argument("name", type=ACCOUNT)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(output: Output, /, name: str, yes: bool) -> None:
    """Forget account NAME and its secret.

    Mixpanel does not show a secret again. Asks first on a terminal.
    """
    accounts = store()
    before = accounts.read()
    before.account(name)
    if is_asked() and not yes:
        click.confirm(f"Forget account {name} and its secret?", abort=True, err=True)
    accounts.remove(name)
    output.note(f"mp: account {name} is removed")
    others = [one for one in before.accounts if one != name]
    if before.default == name and others:
        output.note(f"mp: there is no default account now; choose one: `mp auth use {others[0]}`")
