"""Where the secret of a new account comes from."""

from __future__ import annotations

import os
import sys

import click

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret


def secret_given(*, of_project: bool, from_stdin: bool) -> Secret:
    """Return the secret: from stdin, typed unseen, or from the environment. Raises ConfigError."""
    variable = "MP_API_SECRET" if of_project else "MP_SECRET"
    if from_stdin:
        text = sys.stdin.read() if sys.stdin else ""
    elif is_asked():
        what = "Project secret" if of_project else "Secret"
        text = click.prompt(f"{what} (not shown)", hide_input=True, err=True)
    else:
        text = os.environ.get(variable, "")
    if not text.strip():
        raise ConfigError(
            "nothing came on stdin to be the secret"
            if from_stdin
            else f"no secret: pipe it in with --secret-stdin, or set {variable}"
        )
    return Secret(text.strip())


def is_asked() -> bool:
    """Whether somebody is there to be asked."""
    return bool(sys.stdin) and sys.stdin.isatty()
