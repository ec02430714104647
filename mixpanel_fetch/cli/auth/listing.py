"""``mp auth list``."""

from __future__ import annotations

import os
from typing import Any

import click

from mixpanel_fetch.cli.auth.shared import note_what_wins, store
from mixpanel_fetch.cli.grid import in_columns
from mixpanel_fetch.cli.output import Output, format_option


@click.command(name="list")
@format_option
@click.pass_obj
def list_accounts(output: Output, /, form: str | None) -> None:
    """List the accounts of the configuration file."""
    output.form = form or output.form
    file = store().read()
    rows = [_row(name, name == file.default) for name in file.accounts]
    if output.form == "json":
        output.document(rows)
        return
    if not rows:
        output.text("no accounts yet; `mp auth add NAME` adds one")
        return
    shown = [row | {"default": "yes" if row["default"] else None} for row in rows]
    for line in in_columns(shown, list(rows[0])):
        output.text(line)
    note_what_wins(output)


def _row(name: str, default: bool) -> dict[str, Any]:
    from mixpanel_fetch.config import load_settings

    # The file alone: what the account is, not what this shell makes of it.
    environ = {key: os.environ[key] for key in ("MP_CONFIG",) if key in os.environ}
    settings = load_settings(name, environ=environ)
    known = settings.account
    kind = "secret" if known.get("secret") else "api_secret"
    return {
        "name": name,
        "user": known.get("username") if kind == "secret" else "(project secret)",
        "project": known.get("project_id"),
        "region": known["region"],
        "secret": settings.origins[kind].source if kind in settings.origins else "missing",
        "default": default,
    }
