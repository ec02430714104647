"""A virtual environment for each tool, and the route to the simulator that it runs with."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.server import Impostor
from benchmarks.processes import BenchmarkError, clean_environment, say

_ROUTE = Path(__file__).parent / "route"
_INSTALL_SECONDS = 300.0
_VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
_GUARDED = "import socket, sys; sys.exit(socket.getaddrinfo.__module__ != 'sitecustomize')"


class NotInstalledError(BenchmarkError):
    """pip could not get a tool."""


@dataclass(frozen=True)
class Environment:
    """Where a tool is installed. ``scripts`` is the environment's ``bin``."""

    scripts: Path
    version: str


def install(package: str, folder: Path) -> Environment:
    """Install ``package`` into a new virtual environment. Raises NotInstalledError."""
    say(f"{package}: installing")
    python = folder / "bin" / "python"
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", folder],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        for command in commands:
            subprocess.run(
                command, check=True, capture_output=True, timeout=_INSTALL_SECONDS, env=environment
            )
        found = subprocess.run(
            [python, "-c", _VERSION, package], check=True, capture_output=True, text=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise NotInstalledError("pip could not install it") from error
    return Environment(folder / "bin", found.stdout.strip())


def routed(environment: Environment, server: Impostor, folder: Path) -> dict[str, str]:
    """Return environment variables under which ``environment`` can reach ``server`` and no more.

    Raises BenchmarkError if the guard does not hold there: an interpreter ignores a broken
    sitecustomize, and the tool would go to the real mixpanel.com.
    """
    variables = clean_environment(
        folder,
        PYTHONPATH=str(_ROUTE),
        PYTHONDONTWRITEBYTECODE="1",
        BENCHMARK_PORT=str(server.port),
        REQUESTS_CA_BUNDLE=str(server.ca_bundle),
        SSL_CERT_FILE=str(server.ca_bundle),
    )
    checked = subprocess.run(
        [environment.scripts / "python", "-c", _GUARDED], env=variables, check=False
    )
    if checked.returncode:
        raise BenchmarkError("the route to the simulator is not in force")
    return variables
