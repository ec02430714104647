"""``mp config``."""

from __future__ import annotations

import os
from typing import Any

import click

from mixpanel_fetch.cli.completion.types import ACCOUNT
from mixpanel_fetch.cli.grid import in_columns
from mixpanel_fetch.cli.output import Output, format_option

_SETTING = ("setting", "value", "from")
_SELECTED = {"argument": "--account", "file": "the file's default"}
_OPTION = ("plugin", "option", "value", "from")


@click.group(name="config")
def command() -> None:
    """See which settings count, and where each comes from."""


@command.command()
@click.pass_obj
def path(output: Output) -> None:
    """Print where the configuration file is, or would be."""
    from mixpanel_fetch.config_file import config_path

    output.text(str(config_path(os.environ)[0]))


@command.command()
@click.option(
    "--account",
    type=ACCOUNT,
    metavar="NAME",
    help="As a fetch with --account NAME would see it.",
)
@format_option
@click.pass_obj
def show(output: Output, /, account: str | None, form: str | None) -> None:
    """Show every setting, where it comes from, and what plugins are told; secrets as ***.

    A default is beaten by the configuration file's top level, that by its account, that by the
    environment, that by an argument. An account that --account names beats the environment.
    """
    from mixpanel_fetch.cli.provenance import option_rows, setting_rows
    from mixpanel_fetch.config import load_settings

    output.form = form or output.form
    settings = load_settings(account)
    document = {
        "file": str(settings.file.path) if settings.file else None,
        "file_exists": settings.file is not None and settings.file.exists,
        "account": _account(settings),
        "settings": setting_rows(settings),
        "plugins": option_rows(settings),
    }
    if output.form == "json":
        output.document(document)
    else:
        for line in _lines(document):
            output.text(line)
    for warning in settings.warnings:
        output.note(f"mp: warning: {warning}")


def _account(settings: Any) -> dict[str, Any] | None:
    selection = settings.selection
    if selection is None:
        return None
    return {
        "name": selection.name,
        "from": str(selection.origin),
        "left_out": selection.ousted,
    }


def _lines(document: dict[str, Any]) -> list[str]:
    missing = "" if document["file_exists"] else " (there is none)"
    lines = [f"Configuration file: {document['file']}{missing}"]
    account = document["account"]
    if account is not None:
        how = _SELECTED.get(account["from"], account["from"])
        rest = ", left out: the environment says who asks" if account["left_out"] else ""
        lines.append(f"Account: {account['name']} ({how}{rest})")
    rows = [row if row["from"] else {**row, "from": "(not set)"} for row in document["settings"]]
    lines += ["", *in_columns(rows, _SETTING)]
    if document["plugins"]:
        lines += ["", *in_columns(document["plugins"], _OPTION)]
    return lines
