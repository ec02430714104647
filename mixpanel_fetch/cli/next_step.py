"""What a person may want to do with a table that has just come."""

from __future__ import annotations

import shlex

from mixpanel_fetch.secret import redact_uri


def next_step(table: str, destination: str, given: str | None) -> str | None:
    """Return commands that read ``table``, None where its destination cannot be read.

    ``given`` is the destination as the command got it, None where the settings name it.
    """
    from mixpanel_fetch.config import Destination
    from mixpanel_fetch.errors import PluginError
    from mixpanel_fetch.plugins import default_host

    try:
        spec = default_host().sink(Destination.parse(destination).sink).spec
    except PluginError:  # one of a file, which the commands below do not load
        return None
    if "query" not in spec.capabilities or redact_uri(given or "") != (given or ""):
        return None
    to = ["--to", given] if given is not None else []
    commands = [["mp", "inspect", table, *to]]
    if table.isidentifier():
        commands.append(["mp", "sql", f"SELECT * FROM {table} LIMIT 5", *to])
    return "Next: " + "  or  ".join(map(shlex.join, commands))
