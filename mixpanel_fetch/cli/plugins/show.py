"""``mp plugins show``: everything that a plugin says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from mixpanel_fetch.cli.completion.types import PLUGIN
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.plugins.shared import (
    KINDS,
    files_option,
    json_option,
    kind_option,
    unknown,
    with_article,
)

CAPABILITIES = {
    "append": "adds rows to a table that is there",
    "replace": "puts new rows in the place of a whole table, in one step",
    "merge": "updates rows by id, adds the others, makes a missing table",
    "keyed": "an id is in a table once",
    "resume": "an interrupted run can go on",
    "stream": "rows are visible at once, nothing can be taken back",
    "query": "what is there can be read: mp tables, sql, inspect, report",
    "sync": "a table can be kept in step: --incremental, --full",
    "columns": "properties can be shown as typed columns: mp columns",
    "concurrent": "runs into several of its tables may land at the same time",
}
_WRITTEN = {
    "sink": ("--to {}://LOCATION",),
    "transform": ("--transform {}", "--transform {}:ARGUMENT"),
    "strategy": ("--strategy {}",),
    "executor": ("mp fetch many --executor {}",),
}
_INDENT = " " * 16


@click.command(name="show")
@click.argument("name", type=PLUGIN)
@kind_option(*KINDS)
@json_option
@files_option
@click.pass_obj
def show(
    output: Output, /, name: str, kind: str | None, as_json: bool, files: tuple[str, ...]
) -> None:
    """Show the plugin NAME: what it can do, how it is written, and its options.

    A name that two kinds share shows both. Of a plugin that is broken, its reason.
    """
    from mixpanel_fetch.plugins import PluginHost

    host = PluginHost(files)
    # Whoever pastes a whole destination or transform means its name; the rest may be a secret.
    entries = _entries(host, name.partition(":")[0], kind)
    if as_json:
        output.document(entries)
        return
    for number, entry in enumerate(entries):
        if number:
            output.text()
        for line in _lines(entry):
            output.text(line)


def _entries(host: Any, name: str, kind: str | None) -> list[dict[str, Any]]:
    named = [one for one in host.all() if one.spec.name == name and kind in {None, one.kind}]
    kinds = [one.kind for one in named]
    entries = [_entry(one, duplicate=kinds.count(one.kind) > 1) for one in named]
    if kind is None:
        entries += [_broken(one) for one in host.broken if one.provider.plugin == name]
    if not entries:
        raise unknown(host, name, kind)
    return entries


def _entry(one: Any, *, duplicate: bool) -> dict[str, Any]:
    from mixpanel_fetch.cli.plugins.options import described, takes_others

    spec = one.spec
    written = [form.format(spec.name) for form in _WRITTEN[one.kind]]
    if one.kind == "sink" and (spec.options is not None):
        written.append(f"{written[0]}?OPTION=VALUE")
    entry = {
        "name": spec.name,
        "kind": one.kind,
        "summary": spec.summary,
        "distribution": one.provider.distribution,
        "version": one.provider.version,
        "status": "duplicate" if duplicate else "ok",
        "written": written,
        "options": described(spec.options),
        "other_options": takes_others(spec.options),
    }
    if one.kind == "sink":
        claims = sorted(spec.capabilities, key=list(CAPABILITIES).index)
        entry["capabilities"] = {claim: CAPABILITIES[claim] for claim in claims}
    return entry


def _broken(broken: Any) -> dict[str, Any]:
    return {
        "name": broken.provider.plugin,
        "kind": "plugin",
        "distribution": broken.provider.distribution,
        "version": broken.provider.version,
        "status": "broken",
        "reason": broken.reason,
    }


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    origin = f"{entry['distribution']} {entry['version']}".strip()
    if entry["status"] == "broken":
        yield f"{entry['name']}, a plugin that cannot be loaded: {entry['reason']}"
        yield f"  from          {origin}"
        return
    yield f"{entry['name']}, {with_article(entry['kind'])}" + _after(": ", entry["summary"])
    if entry["status"] == "duplicate":
        yield "  claimed       by another distribution, too: neither can be used"
    yield f"  from          {origin}"
    yield from _column("written", entry["written"])
    if "capabilities" in entry:
        claims = [f"{name}: {words}" for name, words in entry["capabilities"].items()]
        yield from _column("capabilities", claims or ["none: it makes new tables only"])
    yield from _column("options", [line for one in entry["options"] for line in _option(one)])
    if entry["other_options"]:
        yield from _column("" if entry["options"] else "options", ["others, as they are"])
    if not entry["options"] and not entry["other_options"]:
        yield from _column("options", ["none"])


def _column(title: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {title:<14}{line}" if number == 0 else f"{_INDENT}{line}"


def _option(option: dict[str, Any]) -> Iterator[str]:
    facts = [option["type"], *option["limits"]]
    if option["required"]:
        facts.append("required")
    elif option["default"] is not None:
        facts.append(f"default {_text(option['default'])}")
    yield f"{option['name']}: {', '.join(facts)}"
    if option["description"]:
        yield f"    {option['description']}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _after(mark: str, words: str) -> str:
    return f"{mark}{words}" if words else ""
