"""``mp auth use``."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.auth.shared import note_what_wins, store
from mixpanel_fetch.cli.completion.types import ACCOUNT
from mixpanel_fetch.cli.output import Output


@click.command()
@click.argument("name", type=ACCOUNT)
@click.pass_obj
def use(output: Output, /, name: str) -> None:
    """Make NAME the default account.

    It counts when neither --account nor MP_ACCOUNT names one, and the environment says nothing of
    a user.
    """
    store().use(name)
    output.note(f"mp: {name} is the default account")
    note_what_wins(output)
