"""The group ``mp``, whose commands load when they are named."""

from __future__ import annotations

import importlib

import click

from mixpanel_fetch._version import __version__

_HOMES = {
    "demo": "mixpanel_fetch.cli.demo",
    "fetch": "mixpanel_fetch.cli.fetch",
    "plugins": "mixpanel_fetch.cli.plugins",
    "runs": "mixpanel_fetch.cli.runs",
    "simulator": "mixpanel_fetch.cli.simulator",
}
_SUMMARIES = {
    "demo": "Fetch 25,000 made-up profiles, to see how it goes.",
    "fetch": "Fetch profiles from Mixpanel into a store of your own.",
    "plugins": "See which plugins there are, check them, begin one of your own.",
    "runs": "See what a destination remembers of its runs, and what they lack.",
    "simulator": "Serve Mixpanel's Engage API on this machine.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one only to run it; then asks plugins for theirs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_HOMES, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        if home is None:
            self._load_plugin_commands()
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(home).command
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        own = sorted(_SUMMARIES.items())
        others = [
            (name, command.get_short_help_str())
            for name, command in sorted(self.commands.items())
            if name not in _SUMMARIES
        ]
        with formatter.section("Commands"):
            formatter.write_dl(own + others)

    def _load_plugin_commands(self) -> None:
        from mixpanel_fetch.plugins import default_host

        default_host().observe("register_commands", cli=self)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mixpanel-fetch")
def app() -> None:
    """Fetch every Mixpanel profile, concurrently and completely, into a store of your own."""
