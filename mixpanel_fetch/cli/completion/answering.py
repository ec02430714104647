"""The answer to a shell that asks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout

from mixpanel_fetch.cli.completion import VARIABLE
from mixpanel_fetch.cli.completion.patience import somebody_waits
from mixpanel_fetch.cli.completion.shells import SHELLS


def answer() -> int:
    """Write what fits, and return the exit code. Nothing else is written, whatever happens."""
    lines = ""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            lines = _lines()
        except Exception:  # noqa: BLE001  (a shell would show it in the middle of what is typed)
            return 1
    if lines:
        sys.stdout.write(lines + "\n")
    if somebody_waits():
        sys.stdout.flush()
        os._exit(0)  # what has not answered by now must not hold the prompt up
    return 0


def _lines() -> str:
    from mixpanel_fetch.cli.app import app

    shell = SHELLS[os.environ[VARIABLE].partition("_")[0]]
    return shell(app, {}, "mp", VARIABLE).complete()
