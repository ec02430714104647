"""``mp plugins``: one command a module."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.plugins.check import check
from mixpanel_fetch.cli.plugins.listing import list_plugins
from mixpanel_fetch.cli.plugins.new import new
from mixpanel_fetch.cli.plugins.show import show


@click.group(name="plugins")
def command() -> None:
    """See which plugins there are, check them, begin one of your own."""


for _one in (list_plugins, show, new, check):
    command.add_command(_one)
