"""A result in a few lines that a person understands."""

from __future__ import annotations

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.result import RunResult

_SHOWN = 10  # failed pages listed one by one


def show_result(output: Output, result: RunResult) -> None:
    """Write ``result`` as JSON or as text."""
    if output.form == "json":
        output.document(result.to_dict())
        return
    for line in result_lines(result):
        output.text(line)


def result_lines(result: RunResult) -> list[str]:
    """Return what became of a run: the outcome first, then whatever is not as it should be."""
    rows = f"{result.total_rows:,} profiles"
    pages = f"{result.successful_pages:,} of {result.total_pages:,} pages"
    seconds = f"{result.duration_seconds:.1f} s"
    if result.interrupted:
        head = f"Interrupted after {pages}; {result.table} was not changed"
    elif not result.published:
        head = f"Not published: {pages} came; {result.table} was not changed"
    else:
        head = f"{rows} in {result.table} ({result.destination}), {pages} in {seconds}"
    rest = ["  the same command with --resume goes on from here"] if result.resumable else []
    return [head, *_details(result), *_failures(result), *rest]


def _details(result: RunResult) -> list[str]:
    figures = [
        (result.updated, "updated rows that were there"),
        (result.rows_dropped, "dropped by transforms"),
        (result.duplicate_rows, "sent twice, kept once"),
        (result.repaired_values, "values repaired to be stored"),
        (result.rejected_rows, "rejected: no usable id"),
        (0 if result.has_failures else result.missing_rows, "missing: announced, but in no page"),
        (result.retries, "requests repeated"),
    ]
    return [f"  {count:,} {meaning}" for count, meaning in figures if count]


def _failures(result: RunResult) -> list[str]:
    if not result.failed_page_indices or result.interrupted:
        return []
    listed = ", ".join(map(str, result.failed_page_indices[:_SHOWN]))
    more = len(result.failed_page_indices) - _SHOWN
    lines = [f"  failed pages: {listed}" + (f" and {more:,} more" if more > 0 else "")]
    return lines + [
        f"    page {failure.index} ({failure.stage}): {failure.error}"
        for failure in result.failures[:_SHOWN]
    ]
