"""Tables for people: aligned columns that fit a terminal, and are whole everywhere else."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from shutil import get_terminal_size

from mixpanel_fetch.cli.output import Output

_GAP = "  "
_LEAST = 4  # columns that a cell is never cut below


def width_of(output: Output) -> int | None:
    """Return how many columns a line of the result may take; None: as many as it needs.

    Only a terminal has a width. ``TERM=dumb`` names none, and a screen reader reads what it shows.
    """
    terminal = bool(output.stream and output.stream.isatty())
    return get_terminal_size().columns if terminal and os.environ.get("TERM") != "dumb" else None


def show_grid(
    output: Output,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
) -> None:
    """Write headings and rows; the columns in ``right`` hold numbers."""
    heading, *lines = grid(headings, rows, right=right, width=width_of(output))
    output.text(heading, bold=True)
    for line in lines:
        output.text(line)


def in_columns(rows: Iterable[Mapping[str, object]], names: Sequence[str]) -> list[str]:
    """Return a line of headings and a line for each row; None is left blank."""
    headings = [name.upper().replace("_", " ") for name in names]
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    return grid(headings, cells)


def grid(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    width: int | None = None,
) -> list[str]:
    """Return the lines of a table. Cells are cut where ``width`` leaves no room for the whole."""
    from rich.cells import cell_len

    cells = [[printable(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = fitted(widths, width - len(_GAP) * (len(widths) - 1))
    return [
        _GAP.join(
            _padded(cell, size, to_the_right=index in right)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Return widths that come to at most ``room``: the widest columns give way, all to one width.

    None gets narrower than four columns; what does not fit even so is left to the terminal.
    """
    low, high = _LEAST, max(*widths, _LEAST)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(one, middle) for one in widths) <= room:
            low = middle
        else:
            high = middle - 1
    spare = max(0, room - sum(min(one, low) for one in widths))
    result = []
    for one in widths:
        more = min(spare, max(0, one - low))
        spare -= more
        result.append(min(one, low) + more)
    return result


def printable(text: str) -> str:
    """Return ``text`` on one line, with what a terminal would obey as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def cut(text: str, width: int) -> str:
    """Return ``text``, cut with an ellipsis where it takes more than ``width`` columns."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"


def _padded(text: str, width: int, *, to_the_right: bool) -> str:
    from rich.cells import cell_len

    shown = cut(text, width)
    blank = " " * (width - cell_len(shown))
    return blank + shown if to_the_right else shown + blank
