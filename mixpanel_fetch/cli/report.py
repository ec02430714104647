"""A result in a few lines: how it ended, then whatever is not as it should be, then what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from shutil import get_terminal_size

from mixpanel_fetch.cli.entries import status_of
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.resume_command import ResumeCommand
from mixpanel_fetch.progress.words import duration
from mixpanel_fetch.result import RunResult

_SHOWN = 10  # pages named one by one
_REASONS = 5  # reasons of failures
_ONE_NEVER = "  1 page was not asked for"


def show_result(
    output: Output,
    result: RunResult,
    resume: ResumeCommand | None = None,
    *,
    noun: str = "profiles",
) -> None:
    """Write ``result`` as JSON or as text; ``resume`` is the command that would go on with it.

    ``noun`` says what its rows are.
    """
    if output.form == "json":
        output.document(result.to_dict())
        return
    show_text(output, result_lines(result, noun), bold_first=True)
    if not result.resumable or resume is None:
        return
    show_text(output, ["To go on from here:"])
    output.text(f"  {resume.text}")
    if resume.masked:
        show_text(output, ["  (*** stands for what you gave; MP_DESTINATION can hold it instead)"])


def show_text(output: Output, lines: Iterable[str], *, bold_first: bool = False) -> None:
    """Write lines as wide as the terminal, each wrapped under its own beginning."""
    width = get_terminal_size().columns if output.stream.isatty() else None
    for number, line in enumerate(lines):
        style = {"bold": True} if bold_first and number == 0 else {}
        for piece in wrapped(line, width):
            output.text(piece, **style)


def wrapped(line: str, width: int | None) -> list[str]:
    """Return ``line`` in pieces of at most ``width`` columns; a longer word stays whole."""
    if width is None or len(line) < width:
        return [line]
    margin = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line,
        max(20, width - 1),
        subsequent_indent=f"{margin}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def result_lines(result: RunResult, noun: str = "profiles") -> list[str]:
    """Return what became of a run, as lines; ``noun`` says what its rows are."""
    lines = [_head(result, noun), _where(result), *_details(result), *_failures(result)]
    return lines + (_advice(result) if noun == "profiles" else [])


def _head(result: RunResult, noun: str) -> str:
    status = status_of(result)
    rows, table = f"{result.total_rows:,} {noun}", f"table {result.table}"
    seconds = result.duration_seconds
    if status == "complete" and result.sync is not None:
        return f"Done: {table} is in step ({result.sync}), {rows} came, {duration(seconds)}"
    if status == "complete":
        return f"Done: {rows} in {table}, {duration(seconds)}"
    if status == "incomplete":
        return f"Incomplete: {rows} in {table}; {_lack(result)}"
    word = "Interrupted" if status == "interrupted" else "Not published"
    return f"{word}: {_lack(result)}; {table} was not changed"


def _lack(result: RunResult) -> str:
    """Return the first thing that keeps a result from being complete."""
    pages = f"{result.total_pages:,} pages"
    if result.interrupted:
        return (
            f"{result.successful_pages:,} of {pages} are {'kept' if result.resumable else 'here'}"
        )
    if result.has_failures:
        return f"{result.failed_pages:,} of {pages} {_be(result.failed_pages)} missing"
    if result.missing_rows > result.allowed_missing:
        return f"{result.missing_rows:,} were announced and never sent"
    if result.rejected_rows:
        return f"{result.rejected_rows:,} have no usable id"
    return "it came empty" if not result.rows_received else "it does not add up (--strict)"


def _where(result: RunResult) -> str:
    pages = "1 page" if result.total_pages == 1 else f"{result.total_pages:,} pages"
    if result.failed_pages:
        pages = f"{result.successful_pages:,} of {pages}"
    parts = [result.destination, pages]
    parts += _changes(result)
    if status_of(result) != "complete":
        parts.append(duration(result.duration_seconds))
    return "  " + ", ".join(part for part in parts if part)


def _changes(result: RunResult) -> list[str]:
    """Return what became of a table that was there before."""
    counts = {
        "new": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "gone": result.gone,
    }
    changes = [f"{count:,} {what}" for what, count in counts.items() if count]
    return changes if len(changes) > 1 or not result.inserted else []


def _details(result: RunResult) -> list[str]:
    figures = [
        ("dropped by transforms", result.rows_dropped),
        ("sent twice, kept once", result.duplicate_rows),
        ("values repaired to be stored", result.repaired_values),
        ("rejected for want of a usable id", result.rejected_rows),
        ("announced, but in no page", 0 if result.has_failures else result.missing_rows),
        ("repeated requests", result.retries),
    ]
    return [f"  {meaning}: {count:,}" for meaning, count in figures if count]


def _failures(result: RunResult) -> list[str]:
    """Return why pages failed, those with the same reason together."""
    if result.interrupted:
        return []
    reasons: dict[str, list[int]] = {}
    for failure in result.failures:
        stage = "transform failed: " if failure.stage == "transform" else ""
        reasons.setdefault(stage + " ".join(str(failure.error).split()), []).append(failure.index)
    lines = [f"  {_pages(pages)}: {reason}" for reason, pages in reasons.items()]
    if len(lines) > _REASONS:
        lines[_REASONS:] = [f"  and {len(lines) - _REASONS} other reasons, all in the JSON result"]
    never = result.failed_pages - len(result.failures)
    if never:
        lines.append(f"  {never:,} pages were not asked for" if never > 1 else _ONE_NEVER)
    return lines


def _advice(result: RunResult) -> list[str]:
    """Say what may be behind a result that is empty."""
    if result.total_pages > 1 or result.total_rows or result.rows_received or result.failures:
        return []
    return ["  no profile matches: check the region, the data view (MP_WORKSPACE_ID), the filter"]


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _pages(indices: list[int]) -> str:
    if len(indices) == 1:
        return f"page {indices[0]}"
    more = f" and {len(indices) - _SHOWN:,} more" if len(indices) > _SHOWN else ""
    return f"pages {', '.join(map(str, indices[:_SHOWN]))}{more}"
