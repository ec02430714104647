"""One try of a fetch: within this process, or as the real ``mp`` that may be killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpanel_fetch import MixpanelFetchError, Workspace
from mixpanel_fetch.quota import RetryPolicy
from mixpanel_fetch.simulator import EngageSimulator

from .judge import Outcome
from .schedule import MAX_WAIT, READ_TIMEOUT, Schedule, Stop

MP = Path(sys.executable).with_name("mp")
PATIENCE = 60.0
"""Seconds after which a process is given up."""

_ACCOUNT = {"username": "demo", "secret": "demo-secret", "project_id": 12345}


class Canceller:
    """Sets its event once so many pages are through."""

    def __init__(self, after: int) -> None:
        self.event = threading.Event()
        self._left = after
        if after == 0:
            self.event.set()

    def __call__(self, _progress: Any) -> None:
        self._left -= 1
        if self._left <= 0:
            self.event.set()


def try_here(
    schedule: Schedule, simulator: EngageSimulator, uri: str, *, resume: bool, stop: Stop | None
) -> Outcome:
    """Fetch within this process, with short timeouts and short waits."""
    workspace = Workspace(
        **_ACCOUNT,
        api_base_url=simulator.base_url,
        destination=uri,
        read_timeout=READ_TIMEOUT,
    )
    chance = random.Random(f"jitter {schedule.seed}")
    retry = RetryPolicy(schedule.max_retries, MAX_WAIT, base=0.02, chance=chance.random)
    workspace.client.settings = replace(workspace.client.settings, retry=retry)
    canceller = None if stop is None else Canceller(stop.requests or 0)
    try:
        result = workspace.fetch_profiles(
            "users",
            mode=schedule.mode,
            parallel=schedule.parallel,
            max_workers=schedule.workers if schedule.parallel else None,
            resume=resume,
            progress=False,
            on_batch_complete=canceller,
            cancel=canceller and canceller.event,
        )
    except MixpanelFetchError as error:
        return Outcome(error.exit_code, error=f"{type(error).__name__}: {error}")
    return Outcome(result.exit_code, json.loads(json.dumps(result.to_dict())))


def environment(simulator: EngageSimulator, uri: str) -> dict[str, str]:
    """Return the variables that point ``mp`` at a simulator and a destination."""
    return {
        **{"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"},
        **{"MP_API_BASE_URL": simulator.base_url, "MP_DESTINATION": uri},
    }


def try_process(
    arguments: list[str], simulator: EngageSimulator, uri: str, stop: Stop | None
) -> Outcome:
    """Run ``mp fetch profiles``, end it as ``stop`` says, and return what it left to read."""
    before = simulator.stats.received
    process = subprocess.Popen(
        [str(MP), "fetch", "profiles", *arguments, "--format", "json", "--no-progress"],
        env={**os.environ, **environment(simulator, uri)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        if stop is not None:
            _wait_for(stop, process, simulator, before)
            process.send_signal(signal.Signals[stop.how])
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    _drain(simulator)
    return _outcome(process.returncode, out.decode(), err.decode())


def _wait_for(
    stop: Stop, process: subprocess.Popen[bytes], simulator: EngageSimulator, before: int
) -> None:
    deadline = time.monotonic() + PATIENCE
    while (
        stop.requests is not None
        and simulator.stats.received - before < stop.requests
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.002)
    time.sleep(stop.seconds)


def _drain(simulator: EngageSimulator) -> None:
    """Wait until the simulator is through with what a killed process had asked for."""
    deadline = time.monotonic() + PATIENCE
    while simulator.stats.in_flight and time.monotonic() < deadline:
        time.sleep(0.005)


def _outcome(code: int, out: str, err: str) -> Outcome:
    if code < 0:
        return Outcome(code, stderr=err)
    strange = [line for line in err.splitlines() if not line.startswith("mp: ")]
    if strange:
        return Outcome(code, error=f"Traceback or noise on stderr: {strange}", stderr=err)
    try:
        document = json.loads(out)
    except ValueError:
        return Outcome(code, error=f"this is a bug: stdout is not JSON: {out!r}", stderr=err)
    if "error" in document:
        return Outcome(code, error=str(document["error"]), stderr=err)
    return Outcome(code, document, stderr=err)
