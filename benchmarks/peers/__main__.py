"""``python -m benchmarks.peers``: measure the tools and print one table."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks.machine import machine, machine_line
from benchmarks.peers.contenders import Contender, contenders
from benchmarks.peers.environments import NotInstalledError
from benchmarks.peers.server import Impostor, impostor
from benchmarks.peers.tools import TOOLS
from benchmarks.processes import BenchmarkError, TookTooLongError, Usage, in_child, say
from benchmarks.report import aligned, spread


@dataclass(frozen=True)
class Load:
    """What the server holds, and its latency in seconds a page."""

    profiles: int
    latency: float

    @property
    def heading(self) -> str:
        """The load in a few words."""
        latency = f"at {self.latency * 1000:.0f} ms a page" if self.latency else "without latency"
        return f"{self.profiles:,} {latency}"


@dataclass
class Standing:
    """What a contender took under one load, run by run, or why it gave nothing."""

    usages: list[Usage] = field(default_factory=list)
    failure: str = ""

    def cells(self) -> tuple[str, str]:
        """Return seconds and megabytes as text."""
        if self.failure:
            return self.failure, ""
        return (
            spread([usage.wall for usage in self.usages]),
            spread([usage.peak for usage in self.usages]),
        )


_LOADS = (Load(25_000, 0.4), Load(50_000, 0.0))
_SMALL_LOADS = (Load(2_000, 0.05), Load(2_000, 0.0))


@click.command()
@click.option("--runs", type=click.IntRange(1, 10), default=3, show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=120.0,
    show_default=True,
    help="Seconds after which a tool is given up.",
)
@click.option("--small", is_flag=True, help="Few profiles, once, to see that everything runs.")
def main(*, runs: int, timeout: float, small: bool) -> None:
    """Measure mp fetch and other published tools on the same simulator, over TLS on loopback."""
    loads = _SMALL_LOADS if small else _LOADS
    with tempfile.TemporaryDirectory(prefix="mixpanel-fetch-peers-") as name:
        found = list(contenders(Path(name), timeout))
        results = [_results(found, load, 1 if small else runs, Path(name)) for load in loads]
    headings = ["tool"]
    for load in loads:
        headings += [f"{load.heading}, s", "peak, MB"]
    rows = [
        [contender.label, *(cell for standing in standings for cell in standing.cells())]
        for contender, *standings in zip(found, *results, strict=True)
    ]
    click.echo(machine_line(machine()))
    click.echo()
    click.echo(aligned([headings, *rows]))


def _results(found: Sequence[Contender], load: Load, runs: int, folder: Path) -> Sequence[Standing]:
    standings = [Standing() for _ in found]
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        impostor(load.profiles, load.latency, Path(name)) as server,
    ):
        if not load.latency:  # else making pages up hides in the latency
            _warm_up(server, Path(name))
        for run in range(runs):
            say(f"{load.heading}: run {run + 1} of {runs}")
            for contender, standing in zip(found, standings, strict=True):
                if not standing.failure:
                    _measure(contender, server, standing, folder)
    return standings


def _warm_up(server: Impostor, folder: Path) -> None:
    for page_size in {None, *(tool.page_size for tool in TOOLS)}:
        in_child(
            "untimed: warm up",
            "download",
            folder,
            base_url=server.base_url,
            ca_bundle=str(server.ca_bundle),
            page_size=page_size,
        )


def _measure(contender: Contender, server: Impostor, standing: Standing, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        try:
            standing.usages.append(contender.fetch(server, Path(name)))
        except (TookTooLongError, NotInstalledError) as error:
            standing.failure = str(error).rpartition(": ")[2]
        except BenchmarkError as error:
            say(str(error))
            standing.failure = "failed"


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.peers")
