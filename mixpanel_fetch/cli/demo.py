"""``mp demo``: the whole way once, with made-up profiles and no credentials."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from mixpanel_fetch.cli.output import Output, format_option
from mixpanel_fetch.cli.report import result_lines, show_text
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.cli.watching import watched
from mixpanel_fetch.errors import FetchInterruptedError
from mixpanel_fetch.events import Listener
from mixpanel_fetch.progress import bar_is_seen
from mixpanel_fetch.progress.words import duration

PROFILES = 25_000
FILE = "mixpanel-demo.duckdb"
QUERY = (
    "SELECT properties->>'$.plan' AS plan, count(*) AS n FROM profiles"
    " GROUP BY plan ORDER BY n DESC"
)


@click.command(name="demo")
@click.option(
    "--latency",
    type=click.FloatRange(min=0, max=5),
    default=0.2,
    show_default=True,
    help="Seconds that the simulated Mixpanel takes for each page.",
)
@format_option
@click.pass_obj
def command(output: Output, /, latency: float, form: str | None) -> int:
    """Fetch 25,000 made-up profiles into mixpanel-demo.duckdb, to see how it goes.

    Starts a simulated Mixpanel on this machine, fetches from it in parallel and then one page
    after the other, and asks the landed table a question. Needs no credentials.
    """
    from mixpanel_fetch.client import MixpanelAPIClient
    from mixpanel_fetch.services import FetcherService
    from mixpanel_fetch.simulator import SimulatorProcess

    output.form = form or output.form
    with (
        StopSignals() as stop,
        SimulatorProcess(profiles=PROFILES, latency=latency) as simulator,
        tempfile.TemporaryDirectory() as scratch,
    ):
        # No Workspace: a demo must not stumble over the settings of this machine.
        client = MixpanelAPIClient(
            username="demo",
            secret="demo-secret",
            project_id=12345,
            base_url=simulator.base_url,
            trust_environment=False,
        )
        with _shown(output, f"Fetching {PROFILES:,} profiles, five pages at once") as on_event:
            fast = FetcherService(client, f"duckdb:///{FILE}").fetch_profiles(
                "profiles", mode="replace", parallel=True, cancel=stop.event, on_event=on_event
            )
        with _shown(output, "The same, one page after the other") as on_event:
            slow = FetcherService(client, f"duckdb:///{scratch}/sequential.duckdb").fetch_profiles(
                "profiles", cancel=stop.event, on_event=on_event
            )
    if stop.exit_code is not None:
        raise FetchInterruptedError("interrupted")
    answer = _answer(Path(FILE))
    if output.form == "json":
        output.document(
            {
                "result": fast.to_dict(),
                "sequential_seconds": round(slow.duration_seconds, 3),
                "query": QUERY,
                "answer": [{"plan": plan, "n": count} for plan, count in answer],
            }
        )
        return fast.exit_code
    show_text(output, result_lines(fast), bold_first=True)
    ratio = slow.duration_seconds / fast.duration_seconds
    output.text(
        f"The same, one page after the other: {duration(slow.duration_seconds)}"
        f" ({ratio:.1f} times as long)"
    )
    output.text()
    output.text(QUERY)
    for plan, count in answer:
        output.text(f"  {plan or '(none)':<12} {count:>7,}")
    return fast.exit_code


@contextmanager
def _shown(output: Output, title: str) -> Iterator[Listener | None]:
    """Show a fetch on a terminal, under its title."""
    if not bar_is_seen():
        yield None
        return
    output.note(title)
    with watched(output, "auto") as on_event:
        yield on_event


def _answer(file: Path) -> list[tuple[str | None, int]]:
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(QUERY).fetchall()
