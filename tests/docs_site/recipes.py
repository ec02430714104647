"""The files of docs/recipes, and a place to run them in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from mixpanel_fetch.simulator import SimulatorConfig

from .pages import DOCS

RECIPES = DOCS / "recipes"


def unit_of(name: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of a unit, in order: a key may stand there twice."""
    text = (RECIPES / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield key, value


def write_accounts(path: Path, servers: Mapping[str, tuple[str, SimulatorConfig]]) -> Path:
    """Write a configuration file with an account for each address and what it serves."""
    lines = []
    for name, (base_url, config) in servers.items():
        lines += [
            f"[accounts.{name}]",
            f"username = {json.dumps(config.username)}",
            f"secret = {json.dumps(config.secret)}",
            f"project_id = {config.project_id}",
            f"api_base_url = {json.dumps(base_url)}",
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path
