"""Who is measured: ``mp fetch`` and the tools, each as something that fetches from a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.command import fetch_from
from benchmarks.peers.environments import Environment, NotInstalledError, install, routed
from benchmarks.peers.server import Impostor
from benchmarks.peers.tools import TOOLS, Tool
from benchmarks.processes import BenchmarkError, Usage, measure


@dataclass(frozen=True)
class Contender:
    """A label, and what fetches everything from a server into a folder.

    ``fetch`` raises BenchmarkError unless every profile came.
    """

    label: str
    fetch: Callable[[Impostor, Path], Usage]


def contenders(folder: Path, timeout: float) -> Iterator[Contender]:
    """Yield ``mp fetch`` and each tool, newly installed. ``timeout`` in seconds a fetch."""
    yield Contender("mp fetch profiles --parallel, into DuckDB", _mp)
    for tool in TOOLS:
        try:
            environment = install(tool.package, folder / tool.package)
        except NotInstalledError as error:
            yield Contender(tool.package, partial(_not_there, error))
            continue
        label = f"{tool.package} {environment.version}, {tool.how}"
        yield Contender(label, partial(_run_tool, tool, environment, timeout))


def _mp(server: Impostor, folder: Path) -> Usage:
    bundle = str(server.ca_bundle)
    return fetch_from(server.base_url, server.profiles, folder, ca_bundle=bundle).usage


def _not_there(error: NotInstalledError, _: Impostor, __: Path) -> Usage:
    raise error


def _run_tool(
    tool: Tool, environment: Environment, timeout: float, server: Impostor, folder: Path
) -> Usage:
    for name, text in tool.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    usage = measure(
        tool.package,
        tool.command(environment.scripts),
        folder=folder,
        env=routed(environment, server, folder),
        stdout=folder / tool.output if tool.to_stdout else None,
        timeout=timeout,
    )
    found = tool.profiles_in(folder)
    if found != server.profiles:
        raise BenchmarkError(f"{tool.package}: {found:,} of {server.profiles:,} profiles came")
    return usage
