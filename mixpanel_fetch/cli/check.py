"""``mp check``, and ``--dry-run`` of the commands that fetch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.cli.fetch_arguments import begin, keywords_of
from mixpanel_fetch.cli.fetch_options import fetch_options, table_argument
from mixpanel_fetch.cli.output import Output, log_on_stderr
from mixpanel_fetch.cli.report import show_text
from mixpanel_fetch.cli.signals import StopSignals

if TYPE_CHECKING:
    from mixpanel_fetch.preview import FetchPreview

IN_STEP = {
    "full": "by a complete fetch",
    "incremental": "by what changed since the last time",
}
_LABEL = 10  # columns


@click.command(name="check")
@table_argument("profiles")
@fetch_options
@click.pass_obj
def command(output: Output, /, **given: Any) -> int:
    """Say what `mp fetch profiles` would do with the same arguments, and write nothing.

    Asks Mixpanel for the first page only, which is one of the hour's counted queries (two with
    --page-size auto), and runs the transforms on it. Exits as the fetch would: 2 when the
    credentials are refused, 3 when an argument is wrong or the table is in the way.
    """
    return run_check(output, given, keywords_of(given))


def run_check(
    output: Output, given: dict[str, Any], keywords: dict[str, Any], *, noun: str = "profiles"
) -> int:
    """Show the preview of the fetch into ``given["name"]`` with ``keywords``.

    ``noun`` is what a row stands for.
    """
    workspace = begin(output, given, rows_come=False)
    with (
        # Its warnings are part of the answer.
        log_on_stderr(output.log, given["verbose"], quiet=not given["verbose"]),
        StopSignals() as stop,
    ):
        found = workspace.preview_profiles(given["name"], cancel=stop.event, **keywords)
    if output.form == "json":
        output.document({"dry_run": True, **found.to_dict()})
    else:
        show_text(output, preview_lines(found, noun), bold_first=True)
    return 0


def preview_lines(found: FetchPreview, noun: str = "profiles") -> list[str]:
    """Return what a fetch would do, as lines: what and where first, then each thing by name.

    ``noun`` is what a row stands for.
    """
    lines = [_head(found, noun)]
    for label, text in _facts(found, noun):
        lines.append(f"  {label:{_LABEL}}{text}")
    return [*lines, "Nothing was written."]


def _head(found: FetchPreview, noun: str) -> str:
    pages = _pages(found.total_pages)
    rows = noun.capitalize() if found.profiles is None else f"{found.profiles:,} {noun}"
    if found.run_id is None:
        return f"{rows} in {pages} would go to table {found.table}"
    missing = found.total_pages - found.landed_pages
    if not missing:
        return f"Nothing would be fetched: table {found.table} is complete"
    return f"{missing:,} of {pages} would still go to table {found.table}"


def _pages(count: int) -> str:
    return "1 page" if count == 1 else f"{count:,} pages"


def _facts(found: FetchPreview, noun: str) -> Iterator[tuple[str, str]]:
    yield "to", f"{found.destination}, {_mode(found)}"
    if found.sync is not None:
        yield "in step", IN_STEP[found.sync]
    own = "Mixpanel's own size" if found.asked_page_size is None else "asked for"
    if found.asked_page_size not in {None, found.page_size}:
        own = f"{found.asked_page_size:,} asked for"
    if noun == "profiles":
        yield "pages", f"of {found.page_size:,} profiles ({own})"
    if found.seconds is not None and found.page_seconds is not None:
        yield "time", _time(found, found.seconds, found.page_seconds)
    limit = f"at most {_size(found.inflight_bytes)} of pages in memory"
    if found.download_bytes is None:
        yield "size", limit
    else:
        yield "size", f"about {_size(found.download_bytes)} to download, {limit}"
    yield "quota", _quota(found)
    for plugin in found.plugins:
        kind, _, name = plugin.partition(" ")
        yield kind, name
    if found.first_page_kept is not None and found.first_page_kept != found.first_page_rows:
        yield "", f"of page 0, {found.first_page_kept:,} of {found.first_page_rows:,} rows stay"
    for warning in found.warnings:
        yield "warning", warning


def _mode(found: FetchPreview) -> str:
    if found.run_id is not None:
        return f"{found.mode}, which holds {_pages(found.landed_pages)} of run {found.run_id}"
    if found.table_exists is None:
        return found.mode
    if not found.table_exists:
        return f"{found.mode} (there is no table yet)"
    rows = "exists" if found.table_rows is None else f"has {found.table_rows:,} rows now"
    return f"{found.mode} (the table {rows})"


def _time(found: FetchPreview, seconds: float, page_seconds: float) -> str:
    from mixpanel_fetch.progress.words import duration

    if found.total_pages == 1:
        return f"about {duration(seconds)}, as now"
    at_once = "one page after the other"
    if found.workers > 1:
        at_once = f"{min(found.workers, found.total_pages - 1)} pages at once"
    return f"about {duration(seconds)}: {at_once}, each like the first ({page_seconds:.2f} s)"


def _quota(found: FetchPreview) -> str:
    queries = {0: "none", 1: "1"}.get(found.queries, f"{found.queries:,}")
    text = f"{queries} of the queries that count against the project's hour"
    if found.queries_left is not None:
        text += f"; {found.queries_left:,} are left, as far as this machine knows"
    return text


def _size(size: int) -> str:
    for unit, word in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {word}"
    return f"{size:,} bytes"
