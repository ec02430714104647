"""The group ``mp``, whose commands load when they are named."""

from __future__ import annotations

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from mixpanel_fetch._version import __version__
from mixpanel_fetch.errors import ReaderGoneError

_HOMES = {
    "auth": "mixpanel_fetch.cli.auth",
    "check": "mixpanel_fetch.cli.check",
    "columns": "mixpanel_fetch.cli.columns",
    "completion": "mixpanel_fetch.cli.completion.command",
    "config": "mixpanel_fetch.cli.config",
    "demo": "mixpanel_fetch.cli.demo",
    "fetch": "mixpanel_fetch.cli.fetch",
    "inspect": "mixpanel_fetch.cli.inspect",
    "plugins": "mixpanel_fetch.cli.plugins",
    "report": "mixpanel_fetch.cli.report_command",
    "runs": "mixpanel_fetch.cli.runs",
    "simulator": "mixpanel_fetch.cli.simulator",
    "sql": "mixpanel_fetch.cli.sql",
    "sync": "mixpanel_fetch.cli.sync",
    "tables": "mixpanel_fetch.cli.tables",
}
_SUMMARIES = {
    "auth": "Keep accounts, and see whether they work.",
    "check": "Say what a fetch would do, and write nothing.",
    "columns": "Show the properties in a table as typed columns.",
    "completion": "Print the script that completes mp on Tab in bash, zsh or fish.",
    "config": "See which settings count, and where each comes from.",
    "demo": "Fetch 25,000 made-up profiles, to see how it goes.",
    "fetch": "Fetch profiles from Mixpanel into a store of your own.",
    "inspect": "Say what the profiles in a table have: properties, types, values.",
    "plugins": "See which plugins there are, check them, begin one of your own.",
    "report": "Write an HTML page about a table and what is in it.",
    "runs": "See what a destination remembers of its runs, and what they lack.",
    "simulator": "Serve Mixpanel's Engage API on this machine.",
    "sql": "Ask a destination a question in SQL.",
    "sync": "Run the jobs of a file that are due.",
    "tables": "List the tables of a destination.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and imports one only to run it; then asks plugins for theirs."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # click would take it for any failure, and exit with 1
            raise ReaderGoneError("the reader of the output went away") from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_HOMES, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _HOMES.get(cmd_name)
        if home is None:
            self._load_plugin_commands()
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(home).command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands without importing them; a plugin's where none of ours fits."""
        found = [
            CompletionItem(name, help=_SUMMARIES[name])
            for name in sorted(_SUMMARIES)
            if name.startswith(incomplete)
        ]
        if found or not incomplete or incomplete.startswith("-"):
            return found + click.Command.shell_complete(self, ctx, incomplete)
        self._load_plugin_commands()
        return super().shell_complete(ctx, incomplete)

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
