"""What the commands of ``mp auth`` share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mixpanel_fetch.cli.output import Output

if TYPE_CHECKING:
    from mixpanel_fetch.accounts import AccountStore


def store() -> AccountStore:
    """Return the store of the configuration file that counts; it may be missing yet."""
    from mixpanel_fetch.accounts import AccountStore
    from mixpanel_fetch.config_file import config_path

    return AccountStore(config_path(os.environ)[0])


def note_what_wins(output: Output) -> None:
    """Say so when the environment leaves the default account out."""
    for variable in ("MP_ACCOUNT", "MP_USERNAME", "MP_API_SECRET"):
        if os.environ.get(variable):
            output.note(f"mp: {variable} is set, and wins over the default account")
            return
