"""The simulator in a process of its own, so that it takes no time from the one it is tried on."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.config_json import config_to_json
from mixpanel_fetch.simulator.control import CONTROL_PREFIX
from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.stats import SimulatorStats

_STOP_SECONDS = 10.0
_CONTROL_SECONDS = 30.0


class SimulatorProcess:
    """EngageSimulator's face with the server in a child process.

    A context manager. The child ends when this one stops it or dies. Profiles given as a
    sequence travel through a temporary file.
    """

    def __init__(self, config: SimulatorConfig | None = None, **changes: Any) -> None:
        self.config = replace(config or SimulatorConfig(), **changes)
        self._resources = contextlib.ExitStack()
        self._child: subprocess.Popen[bytes] | None = None
        self._place: dict[str, Any] = {}

    def __enter__(self) -> SimulatorProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The child's process id; RuntimeError unless started."""
        if self._child is None:
            raise RuntimeError("the simulator is not running")
        return self._child.pid

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a slash at the end; RuntimeError unless started."""
        if not self._place:
            raise RuntimeError("the simulator is not running")
        return str(self._place["base_url"])

    @property
    def ca_bundle(self) -> str | None:
        """The PEM file of the authority to trust, while it serves over TLS."""
        path: str | None = self._place.get("ca_bundle")
        return path

    @property
    def stats(self) -> SimulatorStats:
        """A snapshot of what happened since the start or the last reset."""
        return SimulatorStats.from_json(self._control("GET", "stats"))

    def reset_stats(self) -> None:
        """Forget what was counted; sessions and the hourly limit stay."""
        self._control("POST", "reset")

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Put other faults in force; their counts start anew."""
        self._control("POST", "faults", json.dumps([vars(fault) for fault in faults]))

    def start(self) -> None:
        """Start the child and wait until it serves.

        Raises RuntimeError if it ends before (its stderr says why) or is running already.
        """
        if self._child is not None:
            raise RuntimeError("the simulator is running already")
        with contextlib.ExitStack() as resources:
            folder = resources.enter_context(tempfile.TemporaryDirectory())
            config = config_to_json(self.config, Path(folder))
            self._child = _spawn()
            resources.callback(self._end_child)
            place = _introduce(self._child, config)
            if not place:
                raise RuntimeError("the simulator's process ended before it served")
            self._place = json.loads(place)
            self._resources = resources.pop_all()

    def stop(self) -> None:
        """End the child and wait for it; nothing if there is none."""
        self._resources.close()

    def _end_child(self) -> None:
        child, self._child, self._place = self._child, None, {}
        if child is None or child.stdin is None or child.stdout is None:
            return
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()

    def _control(self, method: str, action: str, body: str = "") -> bytes:
        host = urlsplit(self.base_url).netloc
        connection = http.client.HTTPConnection(host, timeout=_CONTROL_SECONDS)
        if self.ca_bundle:
            trust = ssl.create_default_context(cafile=self.ca_bundle)
            connection = http.client.HTTPSConnection(host, timeout=_CONTROL_SECONDS, context=trust)
        with contextlib.closing(connection):
            connection.request(method, CONTROL_PREFIX + action, body.encode())
            response = connection.getresponse()
            text = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{action}: the simulator answered {response.status}: {text!r}")
        return text


def _spawn() -> subprocess.Popen[bytes]:
    # The child must find this package even where the parent got it by other ways than the path;
    # a session of its own spares it a Ctrl-C that is meant for the parent.
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_fetch.simulator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def _introduce(child: subprocess.Popen[bytes], config: str) -> bytes:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the simulator's process has no pipes")
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(config.encode() + b"\n")
        child.stdin.flush()
    return child.stdout.readline()
