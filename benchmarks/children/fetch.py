"""One fetch through Workspace, as a program that embeds the package makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mixpanel_fetch import Workspace


def run(base_url: str, ca_bundle: str | None, file: str, parallel: bool) -> dict[str, Any]:
    """Give the result's ``duration_seconds`` and its rows. ``file`` is removed again."""
    client = {"verify": ca_bundle} if ca_bundle else {}
    with Workspace(
        username="demo",
        secret="demo-secret",
        project_id=12345,
        api_base_url=base_url,
        destination=f"duckdb:///{file}",
        **client,
    ) as workspace:
        result = workspace.fetch_profiles("profiles", parallel=parallel, progress=False)
    Path(file).unlink()
    return {"seconds": result.duration_seconds, "rows": result.total_rows}
