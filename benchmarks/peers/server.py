"""The simulator under the name that the tools ask for: ``python -m benchmarks.peers.server``.

Reads one line of JSON from stdin, ``{"profiles": …, "latency": …, "folder": …}``, serves over TLS
on 127.0.0.1 with a certificate for mixpanel.com, writes ``{"port": …}`` to stdout, and ends with
its stdin. The authority to trust is ``ca.pem`` in the folder.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT

HOST = "mixpanel.com"
API_SECRET = "demo-api-secret"
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Impostor:
    """A running server. ``ca_bundle``: the PEM file of the authority that vouches for it."""

    port: int
    ca_bundle: Path
    profiles: int

    @property
    def base_url(self) -> str:
        """Its address for a client that can be told where to go."""
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def impostor(profiles: int, latency: float, folder: Path) -> Iterator[Impostor]:
    """Serve ``profiles`` with ``latency`` seconds a page, from a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peers.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # a Ctrl-C ends it by way of its stdin
    )
    with child:
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the server's process has no pipes")
        settings = {"profiles": profiles, "latency": latency, "folder": str(folder)}
        try:
            child.stdin.write(json.dumps(settings) + "\n")
            child.stdin.flush()
            port = int(json.loads(child.stdout.readline())["port"])
            yield Impostor(port, folder / "ca.pem", profiles)
        finally:
            child.stdin.close()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


def serve(profiles: int, latency: float, folder: str) -> None:
    """Serve until stdin ends."""
    from mixpanel_fetch.simulator.config import SimulatorConfig
    from mixpanel_fetch.simulator.http_server import EngageHTTPServer
    from mixpanel_fetch.simulator.service import EngageService
    from mixpanel_fetch.simulator.stats import Traffic

    config = SimulatorConfig(profiles=profiles, latency=latency, api_secret=API_SECRET)
    traffic = Traffic()
    service = EngageService(config, traffic, time.time)
    # Not EngageSimulator: its certificate names 127.0.0.1 and localhost only.
    server = EngageHTTPServer(0, service, traffic, _certificate(Path(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    sys.stdin.read()
    server.shutdown()
    server.close()


def _certificate(folder: Path) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA(organization_name="mixpanel-fetch benchmarks")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context


if __name__ == "__main__":
    serve(**json.loads(sys.stdin.readline()))
