"""The values that there are: names of plugins, accounts, tables and runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from mixpanel_fetch.cli.completion.patience import within_a_second

Values = Iterator[tuple[str, str]]
"""Values, each with a few words about it."""


def strategies(_context: click.Context, _typed: str) -> Values:
    """Yield the strategies."""
    yield from _registered("strategy", "{}")


def executors(_context: click.Context, _typed: str) -> Values:
    """Yield the executors."""
    yield from _registered("executor", "{}")


def transforms(_context: click.Context, _typed: str) -> Values:
    """Yield each transform, as it is and with the colon that an argument stands behind."""
    for name, summary in _registered("transform", "{}"):
        yield name, summary
        yield f"{name}:", summary


def plugins(context: click.Context, _typed: str) -> Values:
    """Yield what plugins offer, of the kind that ``--kind`` names or of any."""
    kind = context.params.get("kind")
    for one in ("sink", "strategy", "transform", "executor"):
        if kind in {None, one}:
            yield from _registered(one, "{}")


def destinations(_context: click.Context, typed: str) -> Values:
    """Yield the sinks as URIs begin; behind ``NAME:///``, the files that are there."""
    scheme, mark, path = typed.partition(":///")
    if not mark:
        yield from _registered("sink", "{}://")
        return
    folder = Path(path) if path.endswith("/") or not path else Path(path).parent
    for one in sorted(folder.iterdir()):
        if one.name.startswith(".") or quote(one.name) != one.name:
            continue
        name = one.name if folder == Path() else f"{folder}/{one.name}".replace("//", "/")
        yield f"{scheme}:///{name}{'/' if one.is_dir() else ''}", ""


def accounts(_context: click.Context, _typed: str) -> Values:
    """Yield the accounts of the configuration file."""
    from mixpanel_fetch.config_file import ConfigFile, config_path

    for name in ConfigFile.read(config_path(os.environ)[0], required=False).accounts:
        yield name, ""


def tables(context: click.Context, _typed: str) -> Values:
    """Yield the tables of the destination."""
    yield from _asked(context, lambda engine: [one.name for one in engine.tables()])


def tables_to_change(context: click.Context, typed: str) -> Values:
    """Yield the tables of the destination, for a fetch that wants one that is there."""
    if any(context.params.get(one) for one in ("append", "replace", "merge", "resume")):
        yield from tables(context, typed)


def interrupted_runs(context: click.Context, _typed: str) -> Values:
    """Yield the runs that can be discarded."""
    yield from _asked(
        context,
        lambda engine: [r.info.run_id for r in engine.runs() if r.status != "complete"],
    )


def _registered(kind: str, form: str) -> Values:
    from mixpanel_fetch.plugins import default_host

    for one in default_host().all():
        if one.kind == kind:
            yield form.format(one.spec.name), one.spec.summary


def _asked(context: click.Context, question: Callable[[Any], list[str]]) -> Values:
    """Yield what the destination of the command answers in time."""
    from mixpanel_fetch.assembly import Assembler
    from mixpanel_fetch.config import load_settings

    settings = load_settings(_given(context, "account"), destination=_given(context, "destination"))
    sink = Assembler(settings=settings).sink(settings.destination)

    def ask() -> list[str]:
        try:
            return question(sink.engine)
        finally:
            sink.engine.close()

    for name in within_a_second(ask):
        yield name, ""


def _given(context: click.Context | None, name: str) -> Any:
    """Return a parameter of the command, or of the group that it belongs to."""
    while context is not None:
        if context.params.get(name) is not None:
            return context.params[name]
        context = context.parent
    return None
