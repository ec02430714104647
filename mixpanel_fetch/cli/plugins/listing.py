"""``mp plugins list``."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.plugins.shared import files_option, json_option

_COLUMNS = ("name", "kind", "distribution", "version", "status")


@click.command(name="list")
@json_option
@files_option
@click.pass_obj
def list_plugins(output: Output, /, as_json: bool, files: tuple[str, ...]) -> None:
    """List what plugins offer, and the plugins that are broken and why."""
    from mixpanel_fetch.plugins import PluginHost

    rows = _rows(PluginHost(files))
    if as_json:
        output.document(rows)
        return
    widths = {c: max(len(c), *(len(row[c]) for row in rows)) for c in _COLUMNS}
    for row in [{c: c.upper() for c in _COLUMNS} | {"about": ""}, *rows]:
        cells = "  ".join(row[c].ljust(widths[c]) for c in _COLUMNS)
        output.text(f"{cells}  {row['about']}".rstrip())


def _rows(host: Any) -> list[dict[str, Any]]:
    claims = [(one.kind, one.spec.name) for one in host.all()]
    rows = [
        {
            "name": one.spec.name,
            "kind": one.kind,
            "distribution": one.provider.distribution,
            "version": one.provider.version,
            "status": "ok" if claims.count((one.kind, one.spec.name)) == 1 else "duplicate",
            "about": one.spec.summary,
        }
        for one in host.all()
    ]
    return rows + [
        {
            "name": broken.provider.plugin,
            "kind": "plugin",
            "distribution": broken.provider.distribution,
            "version": broken.provider.version,
            "status": "broken",
            "about": broken.reason,
        }
        for broken in host.broken
    ]
