"""``mp plugins new``: a whole distribution with a plugin that works, to begin with."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.plugins.shared import NEW_KINDS
from mixpanel_fetch.errors import ConfigError

# A URI scheme, a part of a distribution's name and, with "_" for "-", of a module's name.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 30  # the lines that the name is in stay within their width
_USE = {
    "sink": "mp fetch profiles --to {}:///profiles.jsonl",
    "transform": "mp fetch profiles --transform {}:plan",
    "strategy": "mp fetch profiles --strategy {}",
}


@click.command(name="new")
@click.argument("kind", type=click.Choice(NEW_KINDS))
@click.argument("name")
@click.option(
    "--into", "parent", metavar="DIR", default=".", help="Where the new folder goes; else here."
)
@click.pass_obj
def new(output: Output, /, kind: str, name: str, parent: str) -> None:
    """Write the distribution mixpanel-fetch-NAME: a KIND that works, with its tests.

    Makes a folder of that name with setup.cfg, a commented module, the conformance kit, a
    README, a licence and a workflow for CI. Needs no network.
    """
    _check_name(name)
    target = Path(parent) / f"mixpanel-fetch-{name}"
    for warning in _taken(kind, name):
        output.note(f"mp: warning: {warning}")
    _write(target, kind, name)
    output.text(f"{target}: the {kind} {name}, with its tests. Next:")
    output.text(f"  cd {target}")
    output.text("  pip install -e '.[test]'")
    output.text("  pytest")
    output.text(f"  {_USE[kind].format(name)}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"a plugin cannot be called {name!r}: write lower-case letters and digits, a letter"
            " first, single hyphens between words"
        )
    if len(name) > _LONGEST:
        raise ConfigError(f"{name!r} is too long a name; it may have {_LONGEST} characters")


def _taken(kind: str, name: str) -> list[str]:
    from mixpanel_fetch.plugins import default_host

    providers: list[Any] = [
        one.provider for one in default_host().all() if (one.kind, one.spec.name) == (kind, name)
    ]
    return [
        f"{provider} has a {kind} {name} already; with both installed neither can be used"
        for provider in providers
    ]


def _write(target: Path, kind: str, name: str) -> None:
    """Write everything beside ``target``, and give it its name when it is whole."""
    from mixpanel_fetch.cli.plugins.rendering import rendered

    files = rendered(kind, name)
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent}")
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target} is there already; choose another name, or --into another DIR")
    scratch: Path | None = None
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        for path, text in files.items():
            file = scratch / target.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        (scratch / target.name).rename(target)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
