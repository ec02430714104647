"""Whether a command line of ``mp`` is one that there is, without running it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import click

from mixpanel_fetch.cli.app import app

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")
_HERE_DOCUMENT = re.compile(r"<<\s*'?(\w+)'?\n.*?^\1$", re.S | re.M)
_REDIRECTION = re.compile(r"\d?>>?\s*[^\s|;&]+|<\s*[^\s|;&]+")
_OPERATORS = "();|&\n"


def command_lines(script: str) -> Iterator[list[str]]:
    """Yield the words of each call of ``mp`` in a shell script, ``mp`` left out."""
    text = _HERE_DOCUMENT.sub("", script.replace("\\\n", " "))
    text = _REDIRECTION.sub(" ", _COMMENT.sub("", text))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    for token in [*lexer, "\n"]:
        if set(token) <= set(_OPERATORS):
            yield from _call(words)
            words = []
        else:
            words.append(token)


def _call(words: Sequence[str]) -> Iterator[list[str]]:
    for index, word in enumerate(words):
        if word == "mp" or word.endswith("/bin/mp"):
            yield list(words[index + 1 :])
            return


def fault_of(words: Sequence[str], *, whole: bool) -> str | None:
    """Return what is wrong with a call, None for nothing.

    ``whole``: it is to be run as it stands, so that no argument may be missing.
    """
    command: click.Command = app
    context = click.Context(app, info_name="mp")
    rest = list(words)
    try:
        while True:
            given, rest = _parse(command, context, rest)
            if not isinstance(command, click.Group) or not rest:
                break
            if _is_placeholder(rest[0]):
                return None
            found = command.get_command(context, rest[0])
            if found is None:
                return f"there is no command {rest[0]!r}"
            command, rest = found, rest[1:]
            context = click.Context(command, parent=context, info_name=command.name)
    except click.UsageError as error:
        return error.format_message()
    if rest and rest not in (["…"], ["$@"]):
        return f"{' '.join(rest)} is too much"
    needed = [
        str(one.name)
        for one in command.params
        if one.required and not isinstance(given.get(one.name), (str, list, tuple))
    ]
    return f"{', '.join(needed)} lacks" if whole and needed else None


def _parse(
    command: click.Command, context: click.Context, words: list[str]
) -> tuple[dict[str, Any], list[str]]:
    given, rest, _ = command.make_parser(context).parse_args(words)
    for param in command.get_params(context):
        values = given.get(param.name)
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if isinstance(value, str) and not _is_placeholder(value):
                param.type.convert(value, param, context)
    return given, rest


def _is_placeholder(word: str) -> bool:
    """Whether a word stands for others: ``NAME``, ``URI``, ``…``, ``"$@"``."""
    return "…" in word or word.startswith("$") or (word.isupper() and word.isascii())
