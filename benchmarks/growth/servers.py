"""Many simulated projects in one process, to be run as a service.

It is asked with ``{"projects": …, "profiles": …, "latency": …}`` and answers with their addresses,
in the order of their numbers from FIRST_PROJECT on; then, whenever it is asked again, with how many
requests of each were in flight at most.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mixpanel_fetch.simulator import EngageSimulator

FIRST_PROJECT = 1001


def write_accounts(addresses: Sequence[str], path: Path) -> list[str]:
    """Write a configuration file with an account for each project; return their names."""
    names = []
    with path.open("w", encoding="utf-8") as file:
        for number, address in enumerate(addresses, FIRST_PROJECT):
            names.append(f"p{number}")
            file.write(
                f'[accounts.p{number}]\nusername = "demo"\nsecret = "demo-secret"\n'
                f'project_id = {number}\napi_base_url = "{address}"\n'
            )
    path.chmod(0o600)
    return names


def serve(projects: int, profiles: int, latency: float) -> None:
    """Serve until stdin ends; ``latency`` in seconds a page."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                EngageSimulator(
                    profiles=profiles, latency=latency, project_id=number, cache_bytes=0
                )
            )
            for number in range(FIRST_PROJECT, FIRST_PROJECT + projects)
        ]
        print(json.dumps([one.base_url for one in running]), flush=True)
        for _ in sys.stdin:
            print(json.dumps([one.stats.max_in_flight for one in running]), flush=True)


if __name__ == "__main__":
    serve(**json.loads(sys.stdin.readline()))
