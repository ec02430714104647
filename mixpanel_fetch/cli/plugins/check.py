"""``mp plugins check``: the conformance kit upon one plugin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.completion.types import DESTINATION, PLUGIN
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.plugins.shared import (
    KINDS,
    files_option,
    json_option,
    kind_option,
    unknown,
    with_article,
)
from mixpanel_fetch.errors import ConfigError

if TYPE_CHECKING:
    from mixpanel_fetch.cli.plugins.kit_request import KitRequest
    from mixpanel_fetch.cli.plugins.kit_run import Verdict
    from mixpanel_fetch.plugins import Registered

_SHOWN = 4  # names of tests that failed with the same words


@click.command(name="check")
@click.argument("name", type=PLUGIN, metavar="NAME[:ARG]")
@kind_option(*KINDS)
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of the plugin.")
@click.option(
    "--to",
    "destination",
    type=DESTINATION,
    metavar="URI",
    help="Where a sink writes; {tmp} is a new folder for each test. Default NAME:///{tmp}/profiles.",
)
@click.option(
    "--rows",
    metavar="MODULE:FUNCTION",
    help="What reads a sink's rows back, or FILE.py:FUNCTION; called with URI and table.",
)
@click.option(
    "--changes",
    type=click.Choice(["ids", "values", "last-seen"]),
    multiple=True,
    help="What a transform changes on purpose. Repeatable.",
)
@json_option
@files_option
@click.pass_obj
def check(output: Output, /, **given: Any) -> int:
    """Run the conformance kit upon the plugin NAME, and tell what it does not keep.

    A transform may have its argument behind a colon. Of a sink, what it stored has to be read
    back by other means than the sink: say with --rows by which. Without it, only what needs no
    reading is checked. A destination without {tmp} is used as it is, with a new table for each
    test, and the tables stay. Needs pytest. Exits with 0 when all that was checked is kept, else
    with 1.
    """
    from mixpanel_fetch.cli.plugins.kit_run import require_pytest, run_kit

    require_pytest()
    request = _request(given)
    registered = request.registered()
    _try_out(request, registered)
    document = _document(request, registered, run_kit(request))
    if given["as_json"]:
        output.document(document)
    else:
        for line in _lines(document, str(registered)):
            output.text(line)
    return 1 if document["failed"] or not document["passed"] else 0


def _request(given: dict[str, Any]) -> KitRequest:
    from mixpanel_fetch.cli.plugins.kit_request import KitRequest
    from mixpanel_fetch.config import parse_option

    name, mark, argument = given["name"].partition(":")
    files = tuple(str(Path(file).resolve()) for file in given["files"])
    kind = _kind(name, given["kind"], files)
    _refuse_others(kind, given, argument=bool(mark))
    return KitRequest(
        kind=kind,
        name=name,
        argument=argument if mark else None,
        files=files,
        options=dict(map(parse_option, given["options"])),
        destination=_destination(name, given["destination"]) if kind == "sink" else "",
        rows=given["rows"],
        changes=given["changes"],
    )


def _kind(name: str, kind: str | None, files: tuple[str, ...]) -> str:
    from mixpanel_fetch.plugins import PluginHost

    if kind is not None:
        return kind
    host = PluginHost(files)
    kinds = sorted({one.kind for one in host.all() if one.spec.name == name})
    if len(kinds) > 1:
        raise ConfigError(
            f"{name!r} is {' and '.join(map(with_article, kinds))}; say which with --kind"
        )
    if kinds:
        return kinds[0]
    broken = [one for one in host.broken if one.provider.plugin == name]
    if broken:
        raise ConfigError(f"the plugin {name} cannot be loaded: {broken[0].reason}")
    raise unknown(host, name, None)


def _refuse_others(kind: str, given: dict[str, Any], *, argument: bool) -> None:
    """Raise ConfigError for what means nothing for a plugin of this kind."""
    meant = {
        "an argument": (argument, "transform"),
        "--to": (given["destination"], "sink"),
        "--rows": (given["rows"], "sink"),
        "--changes": (given["changes"], "transform"),
    }
    for what, (value, whose) in meant.items():
        if value and kind != whose:
            raise ConfigError(f"{what} is for a {whose}, and this is {with_article(kind)}")


def _destination(name: str, given: str | None) -> str:
    from mixpanel_fetch.cli.plugins.kit_request import TEMPORARY
    from mixpanel_fetch.config import Destination

    uri = given or f"{name}:///{TEMPORARY}/profiles"
    if Destination.parse(uri).sink != name:
        raise ConfigError(f"--to must begin with {name}://")
    return uri


def _try_out(request: KitRequest, registered: Registered[Any]) -> None:
    """Make the plugin once: what it refuses is one line, and not one a test."""
    from mixpanel_fetch.config import Destination

    if request.kind == "sink":
        request.reader()
        target = Destination.parse(request.destination)
        registered.make(target.location, options={**request.options, **target.options})
    elif request.kind == "transform":
        registered.make(request.argument, options=request.options)
    elif request.kind == "strategy":
        registered.make(max_workers=1, options=request.options)
    else:
        registered.make(max_workers=1, options=request.options).shutdown()


def _document(
    request: KitRequest, registered: Registered[Any], verdicts: list[Verdict]
) -> dict[str, Any]:
    failed: dict[str, list[str]] = {}
    skipped: Counter[str] = Counter()
    for one in verdicts:
        if one.outcome == "failed":
            failed.setdefault(one.words, []).append(one.test)
        elif one.outcome == "skipped":
            skipped[one.words] += 1
    return {
        "name": request.name,
        "kind": request.kind,
        "distribution": registered.provider.distribution,
        "version": registered.provider.version,
        "passed": sum(one.outcome == "passed" for one in verdicts),
        "failed": [{"words": words, "tests": tests} for words, tests in failed.items()],
        "skipped": dict(skipped.most_common()),
        "rows_read_back": request.kind != "sink" or request.rows is not None,
    }


def _lines(document: dict[str, Any], plugin: str) -> Iterator[str]:
    yield plugin
    yield f"  passed   {document['passed']}"
    for words, count in document["skipped"].items():
        yield f"  skipped  {count}: {words}"
    for failure in document["failed"]:
        tests = failure["tests"]
        more = f" and {len(tests) - _SHOWN} more" if len(tests) > _SHOWN else ""
        yield f"  FAILED   {len(tests)}: {failure['words']}"
        yield f"           {', '.join(tests[:_SHOWN])}{more}"
    if not document["rows_read_back"]:
        yield "  Whether it stores what it is given was not checked: say --rows MODULE:FUNCTION"
