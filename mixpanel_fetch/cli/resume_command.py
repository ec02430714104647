"""The command that goes on where a run stopped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from mixpanel_fetch.secret import redact_uri

# A resume takes over the mode of its run.
_LEFT_OUT = frozenset({"append", "replace", "merge", "resume", "dry_run"})
_MAY_HOLD_SECRETS = frozenset({"destination", "options", "transforms"})


_ARGUMENTS = "mixpanel_fetch.arguments"


class ResumableCommand(click.Command):
    """A command that knows its arguments as they were written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep ``args`` for :func:`resume_command`."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class ResumeCommand:
    """``text`` can be pasted into a shell, unless secrets in it are ``masked``."""

    text: str
    masked: bool = False


def resume_command(context: click.Context) -> ResumeCommand:
    """Return the command of ``context`` as it was given, with ``--resume`` in place of its mode.

    ``context`` is that of a ResumableCommand.
    """
    # Parsed once more, because values are no longer the words they were written in.
    parser = context.command.make_parser(context)
    given, _, _ = parser.parse_args(list(context.meta[_ARGUMENTS]))
    words, masked, last = context.command_path.split(), False, []
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in _LEFT_OUT or (
            context.get_parameter_source(name) is not ParameterSource.COMMANDLINE
        ):
            continue
        for word in _words(parameter, given[name]):
            shown = redact_uri(word) if name in _MAY_HOLD_SECRETS else word
            masked = masked or shown != word
            if isinstance(parameter, click.Argument) and shown.startswith("-"):
                last = ["--", shown]  # or it would be taken for an option
            else:
                words.append(shown)
    return ResumeCommand(shlex.join([*words, "--resume", *last]), masked)


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    if isinstance(parameter, click.Argument):
        yield str(value)
        return
    assert isinstance(parameter, click.Option)
    name = max(parameter.opts, key=len)
    if parameter.count:
        yield "-" + "v" * value
    elif parameter.is_flag:
        yield name if value else parameter.secondary_opts[0]
    else:
        for one in value if parameter.multiple else [value]:
            # A value like "-1" would be taken for an option.
            yield from [f"{name}={one}"] if str(one).startswith("-") else [name, str(one)]
