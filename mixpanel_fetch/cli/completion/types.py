"""Types of arguments and options whose values a shell completes. They take any text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from mixpanel_fetch.cli.completion import values

Candidates = Callable[[click.Context, str], Iterable[tuple[str, str]]]


class Completed(StringParamType):
    """A text, completed from what ``candidates`` yields: values with a few words about each."""

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def shell_complete(
        self, ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the candidates that begin as what was typed."""
        return [
            CompletionItem(value, help=about or None)
            for value, about in self._candidates(ctx, incomplete)
            if value.startswith(incomplete)
        ]


class File(StringParamType):
    """A path, completed by the shell itself."""

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Tell the shell to look for files."""
        return [CompletionItem(incomplete, type="file")]


ACCOUNT = Completed(values.accounts)
DESTINATION = Completed(values.destinations)
EXECUTOR = Completed(values.executors)
FILE = File()
PLUGIN = Completed(values.plugins)
RUN_ID = Completed(values.interrupted_runs)
STRATEGY = Completed(values.strategies)
TABLE = Completed(values.tables)
TABLE_TO_CHANGE = Completed(values.tables_to_change)
TRANSFORM = Completed(values.transforms)
