"""The simulator in a thread of this process."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from mixpanel_fetch.simulator.certificates import loopback_certificate
from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.http_server import EngageHTTPServer
from mixpanel_fetch.simulator.population import Profile
from mixpanel_fetch.simulator.service import EngageService
from mixpanel_fetch.simulator.stats import SimulatorStats, Traffic

_ACCEPT_POLL_SECONDS = 0.01


class EngageSimulator:
    """The Engage API of one made-up project, served on 127.0.0.1 by daemon threads.

    A context manager: inside it serves, at its end every connection is broken and every thread
    gone. `changes` are fields of SimulatorConfig, over those of `config`. `clock` gives the time
    in Unix seconds to sessions, to the hourly limit and to `NOW`.
    """

    def __init__(
        self,
        config: SimulatorConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
        **changes: Any,
    ) -> None:
        self.config = replace(config or SimulatorConfig(), **changes)
        self._traffic = Traffic()
        self._service = EngageService(self.config, self._traffic, clock)
        self._resources = contextlib.ExitStack()
        self._server: EngageHTTPServer | None = None
        self._ca_bundle: Path | None = None

    def __enter__(self) -> EngageSimulator:
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
    def base_url(self) -> str:
        """Scheme, host and port, without a slash at the end; RuntimeError unless started."""
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return self._server.base_url

    @property
    def ca_bundle(self) -> str | None:
        """The PEM file of the authority to trust, while it serves over TLS."""
        return None if self._ca_bundle is None else str(self._ca_bundle)

    @property
    def stats(self) -> SimulatorStats:
        """A snapshot of what happened since the start or the last reset."""
        return self._traffic.snapshot()

    def reset_stats(self) -> None:
        """Forget what was counted; sessions and the hourly limit stay."""
        self._traffic.reset()

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Put other faults in force; their counts start anew."""
        self._service.set_faults(faults)

    def set_profiles(self, profiles: int | Sequence[Profile]) -> None:
        """Put other profiles in place; open sessions keep theirs unless `snapshot` is off."""
        self._service.set_profiles(profiles)

    def start(self) -> None:
        """Serve; OSError if the port is taken, RuntimeError if it serves already."""
        if self._server is not None:
            raise RuntimeError("the simulator is running already")
        with contextlib.ExitStack() as resources:
            context, ca_bundle = None, None
            if self.config.tls:
                folder = resources.enter_context(tempfile.TemporaryDirectory())
                context, ca_bundle = loopback_certificate(Path(folder))
            server = EngageHTTPServer(self.config.port, self._service, self._traffic, context)
            resources.callback(server.close)
            thread = threading.Thread(
                target=server.serve_forever,
                args=(_ACCEPT_POLL_SECONDS,),
                name="simulator-accept",
                daemon=True,
            )
            thread.start()
            resources.callback(thread.join)
            resources.callback(server.shutdown)
            self._resources = resources.pop_all()
        self._server, self._ca_bundle = server, ca_bundle

    def stop(self) -> None:
        """Stop serving, at once, whatever clients are doing; nothing if it does not serve."""
        self._resources.close()
        self._server, self._ca_bundle = None, None
