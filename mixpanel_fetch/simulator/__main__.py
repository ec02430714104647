"""The simulator as a process: `python -m mixpanel_fetch.simulator`.

It reads one line of JSON from stdin, the fields of a SimulatorConfig, writes one line of JSON to
stdout, `{"base_url": …, "ca_bundle": …}`, and serves until stdin ends, so that it never outlives
whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import select
import sys
from typing import BinaryIO, TextIO

from mixpanel_fetch.simulator.config_json import config_from_json
from mixpanel_fetch.simulator.engage_simulator import EngageSimulator


def serve(stdin: BinaryIO, stdout: TextIO) -> int:
    """Serve as the module's docstring says; give the exit code, 3 for a bad configuration."""
    try:
        config = config_from_json(stdin.readline())
    except (ValueError, TypeError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 3
    try:
        with EngageSimulator(config) as simulator:
            place = {"base_url": simulator.base_url, "ca_bundle": simulator.ca_bundle}
            stdout.write(json.dumps(place) + "\n")
            stdout.flush()
            wait_for_end(stdin)
    except KeyboardInterrupt:
        return 130
    return 0


def wait_for_end(stdin: BinaryIO) -> None:
    """Wait until nothing more can come; nothing more is expected.

    Looks up twice a second: a signal that comes just before a read would wait for its end.
    """
    while True:
        with contextlib.suppress(OSError, ValueError):  # not a file: it answers at once
            if not select.select([stdin], [], [], 0.5)[0]:
                continue
        if not stdin.read(1):
            return


if __name__ == "__main__":
    sys.exit(serve(sys.stdin.buffer, sys.stdout))
