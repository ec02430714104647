"""How bash, zsh and fish are told what fits: click's machinery, with scripts of our own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Any

from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from mixpanel_fetch.cli.completion.scripts import BASH, FISH, ZSH

_CURSOR = "\x1f"
_OPEN = (":", "/")  # more is to be typed behind these


class _Shell(ShellComplete):
    """A shell that hands over the command up to the cursor."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words = split_arg_string(os.environ.get("COMP_WORDS", "") + _CURSOR)
        return words[1:-1], words[-1].removesuffix(_CURSOR)

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        return "\n".join(self._lines(items, incomplete))

    def _lines(self, items: list[CompletionItem[Any]], incomplete: str) -> Iterator[str]:
        for item in items:
            value = str(item.value)
            if not value.isprintable() or (value == incomplete and value.endswith(_OPEN)):
                continue  # what a line cannot carry, and what is there already
            is_open = item.type == "plain" and value.endswith(_OPEN)
            kind = "open" if is_open else item.type
            about = " ".join((item.help or "").split())
            yield f"{kind}\t{self.adapted(value, incomplete)}\t{about}"

    def adapted(self, value: str, _incomplete: str) -> str:
        """Return ``value`` as this shell puts it in the place of what was typed."""
        return value


class Bash(_Shell):
    """Bash, which puts a value behind the last character that it breaks words at."""

    name = "bash"
    source_template = BASH

    def adapted(self, value: str, incomplete: str) -> str:
        """Return what follows the last break, with what bash would take apart escaped."""
        breaks = set(":=") & set(os.environ.get("COMP_WORDBREAKS", ""))
        typed = _value_of(incomplete)
        kept = max((typed.rfind(one) for one in breaks), default=-1) + 1
        rest = value[kept:] if value.startswith(typed[:kept]) else value
        return rest if _in_quotes(os.environ.get("COMP_WORDS", "")) else _escaped(rest)


class Zsh(_Shell):
    """Zsh, which sees to what was typed before itself."""

    name = "zsh"
    source_template = ZSH


class Fish(_Shell):
    """Fish, which wants the option in front of its value, where one word holds both."""

    name = "fish"
    source_template = FISH

    def adapted(self, value: str, incomplete: str) -> str:
        """Return ``value`` with its option in front."""
        return incomplete.removesuffix(_value_of(incomplete)) + value


SHELLS = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def _value_of(word: str) -> str:
    """Return the value in ``--option=value``, else the word."""
    return word.partition("=")[2] if word.startswith("--") and "=" in word else word


def _in_quotes(text: str) -> bool:
    """Whether ``text`` ends within quotes, where bash takes a value as it stands."""
    try:
        shlex.split(text + _CURSOR)
    except ValueError:
        return True
    return False


def _escaped(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted == value else "".join(_escape(one) for one in value)


def _escape(one: str) -> str:
    return one if one.isalnum() or one in "_@%+=:,./-" else f"\\{one}"
