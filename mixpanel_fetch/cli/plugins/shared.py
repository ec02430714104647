"""What the commands of ``mp plugins`` share."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from mixpanel_fetch.cli.completion.types import FILE
from mixpanel_fetch.errors import PluginError

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("sink", "transform", "strategy", "executor")
NEW_KINDS = ("sink", "transform", "strategy")
"""Those that `mp plugins new` can begin."""

files_option = click.option(
    "--plugin",
    "files",
    type=FILE,
    metavar="FILE.py",
    multiple=True,
    help="Load a plugin from a file, too.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")


def kind_option(*kinds: str) -> Callable[[F], F]:
    """Return what gives a command the option that tells plugins of one name apart, as ``kind``."""
    return click.option(
        "--kind", type=click.Choice(kinds), help="Which one, where two kinds share the name."
    )


def with_article(kind: str) -> str:
    """Return ``a sink``, ``an executor``."""
    return f"an {kind}" if kind == "executor" else f"a {kind}"


def unknown(host: Any, name: str, kind: str | None) -> PluginError:
    """Return the error that says that nothing is called ``name``, and what is nearly."""
    others = sorted({one.kind for one in host.all() if one.spec.name == name})
    if others:
        other = with_article(others[0])
        return PluginError(f"no {kind} is called {name!r}; there is {other} of that name")
    known = {one.spec.name for one in host.all() if kind in {None, one.kind}}
    if kind is None:
        known |= {broken.provider.plugin for broken in host.broken}
    near = get_close_matches(name.lower(), sorted(known), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `mp plugins list` shows all"
    return PluginError(f"no {kind or 'plugin'} is called {name!r}{hint}")
