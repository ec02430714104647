"""The sink ``jsonl``: one JSON object a line, in a file or on standard output.

A line is ``{"distinct_id": text, "properties": object, "last_seen": "2026-01-31T00:00:00Z" or
null}`` in UTF-8. With ``raw=true`` it is the profile as Mixpanel's Engage API sends it,
``{"$distinct_id": text, "$properties": object}``, and with ``token=TOKEN`` besides the update that
its ingestion API takes. Each property's value has the bytes that Mixpanel sent.

Rows are written as they come, in the order in which pages land: nothing is keyed, and an id that
Mixpanel sent twice is there twice. A file takes its place when it is whole; standard output gets
each page at once, never more than a few pages are held for a slow reader, and a reader that goes
away ends the fetch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from mixpanel_fetch.defaults.jsonl_sink.files import JsonlFile
from mixpanel_fetch.defaults.jsonl_sink.lines import Lines, profile_lines, row_lines, update_lines
from mixpanel_fetch.defaults.jsonl_sink.options import JsonlOptions
from mixpanel_fetch.defaults.jsonl_sink.stdout import JsonlStdout
from mixpanel_fetch.hookspecs import SinkSpec, hookimpl
from mixpanel_fetch.protocols import StorageEngine
from mixpanel_fetch.secret import Secret

CAPABILITIES = frozenset({"replace", "concurrent"})
"""Of files; what one location can, its engine says."""


def open_sink(location: str, *, raw: bool = False, token: str | None = None) -> StorageEngine:
    """Return the engine for ``location``: a path, or ``-`` for standard output.

    ``raw`` and ``token``: see JsonlOptions.
    """
    lines: Lines = profile_lines if raw else row_lines
    if token is not None:
        lines = partial(update_lines, Secret(token))
    return JsonlStdout(lines) if location == "-" else JsonlFile(location, lines)


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``jsonl``."""
    summary = "one JSON object a line: a file (.gz: gzipped), or - for standard output"
    return [SinkSpec("jsonl", open_sink, JsonlOptions, summary, CAPABILITIES)]
