"""What the file and the environment say of plugins' options, by plugin name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixpanel_fetch.precedence import Given, Origin

ENVIRONMENT = "MP_PLUGIN_"
"""How the variables begin; also the key of what they say, until it is known whose it is."""


def plugin_tables(
    document: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return option tables by plugin name; ``MP_PLUGIN_DUCKDB_MEMORY_LIMIT`` beats the file.

    The environment cannot tell where a name ends and an option begins, so its entries are kept
    under their whole text and matched by :func:`given_to`.
    """
    tables = {name: dict(table) for name, table in document.get("plugins", {}).items()}
    return tables | {
        ENVIRONMENT: {k: value for k, value in environ.items() if k.startswith(ENVIRONMENT)}
    }


def given_to(
    plugin: str, known: set[str], tables: Mapping[str, Mapping[str, Any]]
) -> dict[str, Given]:
    """Return the options that ``tables`` give ``plugin``, of those it ``known``ly has."""
    table = Origin("file", f"[plugins.{plugin}]")
    options = {name: Given(value, table) for name, value in tables.get(plugin, {}).items()}
    prefix = plugin.lower().replace("-", "_") + "_"
    for variable, value in tables.get(ENVIRONMENT, {}).items():
        text = variable.removeprefix(ENVIRONMENT).lower()
        if text.startswith(prefix):
            given = Given(value, Origin("environment", variable))
            options |= {k: given for k in known if k.lower() == text.removeprefix(prefix)}
    return options
