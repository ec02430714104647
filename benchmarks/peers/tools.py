"""The tools: what to install, how each is told to fetch every profile, and what it left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.server import API_SECRET

_CHUNK = 1024 * 1024

# Its documentation's way to export people; the account's settings are those of the simulator.
_EXPORT_PEOPLE = """from mixpanel_utils import MixpanelUtils
MixpanelUtils(
    "demo-secret", service_account_username="demo", project_id=12345
).export_people("people.json")
"""
_CATALOG = {
    "streams": [
        {
            "stream": "engage",
            "tap_stream_id": "engage",
            "key_properties": ["distinct_id"],
            "schema": {
                "type": "object",
                "additionalProperties": True,
                "properties": {"distinct_id": {"type": ["null", "string"]}},
            },
            "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
        }
    ]
}
_TAP_CONFIG = {
    "api_secret": API_SECRET,
    "attribution_window": "5",
    "project_timezone": "UTC",
    "select_properties_by_default": "true",
    "start_date": "2026-01-01T00:00:00Z",
    "user_agent": "benchmark",
}


@dataclass(frozen=True)
class Tool:
    """One tool.

    ``files`` are written into the folder that it runs in. ``command`` gets the ``bin`` folder of
    its environment. ``output`` is the file that holds its profiles afterwards, its stdout if
    ``to_stdout``; ``mark`` stands in there once a profile. ``page_size``: what it asks for, None
    for the server's own.
    """

    package: str
    how: str
    files: Mapping[str, str]
    command: Callable[[Path], list[str | Path]]
    output: str
    mark: bytes
    to_stdout: bool = False
    page_size: int | None = None

    def profiles_in(self, folder: Path) -> int:
        """Return how many profiles the output holds, without reading it whole."""
        count, tail = 0, b""
        with (folder / self.output).open("rb") as file:
            while chunk := file.read(_CHUNK):
                text = tail + chunk
                count += text.count(self.mark)
                # Too short to hold a mark that was counted, long enough for the start of one.
                tail = text[len(text) - len(self.mark) + 1 :]
        return count


def _export_people(bin_folder: Path) -> list[str | Path]:
    return [bin_folder / "python", "export_people.py"]


def _tap(bin_folder: Path) -> list[str | Path]:
    return [bin_folder / "tap-mixpanel", "--config", "config.json", "--catalog", "catalog.json"]


TOOLS = (
    Tool(
        package="mixpanel-utils",
        how="export_people to a JSON file",
        files={"export_people.py": _EXPORT_PEOPLE},
        command=_export_people,
        output="people.json",
        mark=b'"$distinct_id"',
    ),
    Tool(
        package="tap-mixpanel",
        how="stream engage to stdout",
        files={"config.json": json.dumps(_TAP_CONFIG), "catalog.json": json.dumps(_CATALOG)},
        command=_tap,
        output="records.jsonl",
        mark=b'"type": "RECORD"',
        to_stdout=True,
        page_size=250,
    ),
)
