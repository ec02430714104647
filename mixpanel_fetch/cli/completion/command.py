"""``mp completion``."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.completion import VARIABLE
from mixpanel_fetch.cli.completion.shells import SHELLS


@click.command(name="completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> None:
    """Print the script that completes mp on Tab in bash, zsh or fish.

    Commands, options and the names of plugins, accounts, tables and runs. To have it in each new
    shell, add the line of yours to its file:

    \b
    bash 4.4+  ~/.bashrc                   eval "$(mp completion bash)"
    zsh        ~/.zshrc, after compinit    eval "$(mp completion zsh)"
    fish       ~/.config/fish/config.fish  mp completion fish | source
    """
    from mixpanel_fetch.cli.app import app

    click.echo(SHELLS[shell](app, {}, "mp", VARIABLE).source(), nl=False)
