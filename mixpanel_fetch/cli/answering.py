"""How the answer to a query is written: a table for people, JSON and CSV row by row."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.cli.grid import show_grid
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.cli.values import cell_text, json_text

if TYPE_CHECKING:
    from mixpanel_fetch.protocols import Answer

Rows = Iterator[tuple[Any, ...]]

_NUMBERS = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BIGNUM"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
        *("DECIMAL", "NUMERIC", "DOUBLE", "FLOAT", "REAL"),
        *("INT2", "INT4", "INT8", "FLOAT4", "FLOAT8"),
    }
)
"""Types whose values stand to the right, in the words of DuckDB and PostgreSQL."""


def _write_table(output: Output, answer: Answer, rows: Rows, limit: int) -> None:
    shown = list(islice(rows, limit))
    cells = [["NULL" if one is None else cell_text(one) for one in row] for row in shown]
    right = {i for i, kind in enumerate(answer.types) if _is_number(kind)}
    show_grid(output, answer.columns, cells, right=right)
    if not shown:
        output.note("mp: no rows")
    elif next(rows, None) is not None:
        output.note(f"mp: the first {len(shown):,} rows, and there are more; see --limit")


def _write_json(output: Output, answer: Answer, rows: Rows, limit: int) -> None:  # noqa: ARG001
    names = [json.dumps(name, ensure_ascii=False) for name in distinct(answer.columns)]
    texts: list[Callable[[Any], str]] = [
        _raw if kind.upper() in {"JSON", "JSONB"} else json_text for kind in answer.types
    ]
    stdout = _Stdout(output)
    between = "[\n"
    for row in rows:
        cells = zip(names, texts, row, strict=True)
        members = ", ".join(f"{name}: {text(value)}" for name, text, value in cells)
        stdout.write(f"{between}  {{{members}}}")
        between = ",\n"
    stdout.write("[]\n" if between == "[\n" else "\n]\n")


def _write_csv(output: Output, answer: Answer, rows: Rows, limit: int) -> None:  # noqa: ARG001
    # RFC 4180: lines end with CRLF, and what holds a quote, a comma or a line break is quoted.
    writer = csv.writer(_Stdout(output), lineterminator="\r\n")
    writer.writerow(answer.columns)
    writer.writerows([cell_text(value) for value in row] for row in rows)


FORMS: Mapping[str, Callable[[Output, Answer, Rows, int], None]] = {
    "table": _write_table,
    "json": _write_json,
    "csv": _write_csv,
}


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of which no two are equal: the second ``n`` becomes ``n_1``."""
    taken: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken or (number and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        taken.append(candidate)
    return taken


class _Stdout:
    """Stdout in UTF-8, whatever the locale; from now on an error must not stand among the rows."""

    def __init__(self, output: Output) -> None:
        output.stdout_is_taken = True
        self._stream = sys.stdout.buffer

    def write(self, text: str) -> None:
        """Write ``text``."""
        self._stream.write(text.encode())


def _raw(value: Any) -> str:
    # Stores hand out JSON as the text that it is, or as what it was read to.
    return value if isinstance(value, str) else json_text(value)


def _is_number(kind: str) -> bool:
    return kind.upper().partition("(")[0] in _NUMBERS
