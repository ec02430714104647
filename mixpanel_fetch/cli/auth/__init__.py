"""``mp auth``: one command a module."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.auth.add import add
from mixpanel_fetch.cli.auth.listing import list_accounts
from mixpanel_fetch.cli.auth.remove import remove
from mixpanel_fetch.cli.auth.trial import test
from mixpanel_fetch.cli.auth.use import use


@click.group(name="auth")
def command() -> None:
    """Keep accounts, and see whether they work."""


for _one in (add, list_accounts, use, test, remove):
    command.add_command(_one)
