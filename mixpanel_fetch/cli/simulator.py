"""``mp simulator``: Mixpanel's Engage API on this machine, for trying things out."""

from __future__ import annotations

import click

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.signals import StopSignals
from mixpanel_fetch.errors import ConfigError


@click.command(name="simulator")
@click.option(
    "--profiles",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="How many made-up profiles there are.",
)
@click.option(
    "--kind",
    type=click.Choice(["narrow", "wide"]),
    default="narrow",
    show_default=True,
    help="Profiles of some 20 properties, or of some 70.",
)
@click.option(
    "--cohorts",
    type=click.IntRange(min=0),
    default=0,
    help="How many saved cohorts there are; number 3 has every third profile.",
)
@click.option(
    "--page-size",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="How many profiles a page holds unless a client asks for another number.",
)
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, help="Seconds per page.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free one.")
@click.option("--gzip", is_flag=True, help="Compress for clients that accept it.")
@click.option("--tls", is_flag=True, help="Serve https with a CA made for it.")
@click.option(
    "--fault",
    "faults",
    metavar="PAGE:KIND[:TIMES]",
    multiple=True,
    help="Misbehave on a page, e.g. 3:503 or 7:reset:2; TIMES 0 is for ever. Repeatable.",
)
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop by itself after so long.")
@click.pass_obj
def command(  # noqa: PLR0917
    output: Output,
    /,
    profiles: int,
    kind: str,
    cohorts: int,
    page_size: int,
    latency: float,
    port: int,
    gzip: bool,
    tls: bool,
    faults: tuple[str, ...],
    seconds: float | None,
) -> None:
    """Serve Mixpanel's Engage API on 127.0.0.1 until Ctrl-C.

    Prints the settings to use it with: paste them into a shell, then `mp fetch profiles`.
    """
    from mixpanel_fetch.simulator import EngageSimulator

    with StopSignals() as stop:
        try:
            simulator = EngageSimulator(
                profiles=profiles,
                kind=kind,
                cohorts=_members(profiles, kind, cohorts),
                page_size=page_size,
                latency=latency,
                port=port,
                gzip=gzip,
                tls=tls,
                faults=[_fault(text) for text in faults],
            )
            simulator.start()
        except (ValueError, OSError, RuntimeError) as error:
            raise ConfigError(f"the simulator cannot start: {error}") from None
        try:
            output.text(f"export MP_API_BASE_URL={simulator.base_url}")
            output.text("export MP_USERNAME=demo MP_SECRET=demo-secret MP_PROJECT_ID=12345")
            if simulator.ca_bundle:
                output.text(f"export REQUESTS_CA_BUNDLE={simulator.ca_bundle}")
            output.stream.flush()
            stop.event.wait(seconds)
        finally:
            simulator.stop()


def _members(profiles: int, kind: str, cohorts: int) -> dict[int, list[str]]:
    """Return the ids of the profiles in each cohort."""
    from mixpanel_fetch.simulator import SyntheticProfiles

    people = SyntheticProfiles(profiles, kind)
    return {
        number: [people.distinct_id(index) for index in range(number - 1, profiles, number)]
        for number in range(1, cohorts + 1)
    }


def _fault(text: str) -> object:
    from mixpanel_fetch.simulator import Fault

    page, _, rest = text.partition(":")
    kind, _, times = rest.partition(":")
    if not page.isdigit() or (times and not times.isdigit()):
        raise ConfigError(f"write --fault PAGE:KIND[:TIMES], not {text!r}")
    return Fault(int(page), kind, times=None if times == "0" else int(times or 1))
