"""How the bar and its words share the lines of a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap

from mixpanel_fetch.progress import words
from mixpanel_fetch.progress.standing import Standing

_BARS = (40, 30, 20, 12)  # few widths, or the bar would change with every digit
_GAP = 2
_NARROWEST = 20  # columns: below that lines are cut


@dataclass(frozen=True)
class Picture:
    """One state of a run: ``bar`` columns wide, ``beside`` it a text, the other lines ``below``.

    No line is wider than the terminal.
    """

    bar: int
    beside: str
    below: tuple[str, ...] = ()


def picture(standing: Standing, now: float, width: int) -> Picture:
    """Return what to show in ``width`` columns, the last of which stays empty."""
    room = max(1, width - 1)
    below = _below(standing, now)
    if standing.phase == "opening":
        return Picture(0, cut("asking for the first page", room), _lines(below, room))
    pages = f"{standing.landed:,}/{standing.total_pages:,} pages"
    facts = words.facts(standing, now)
    beside = "  ".join([pages, *facts])
    bar = _bar(room, beside)
    if not bar:
        beside, below = pages, [", ".join(facts), *below]
        bar = _bar(room, beside)
    return Picture(bar, cut(beside, room), _lines(below, room))


def _below(standing: Standing, now: float) -> list[str]:
    wait = words.waiting(standing, now)
    troubles = ", ".join(words.troubles(standing))
    return [line for line in (troubles, wait) if line]


def _bar(room: int, beside: str) -> int:
    """Return how wide a bar fits before ``beside``, 0 where none does."""
    return next((bar for bar in _BARS if bar + _GAP + len(beside) <= room), 0)


def _lines(texts: list[str], room: int) -> tuple[str, ...]:
    """Return ``texts`` in lines that fit."""
    return tuple(cut(line, room) for text in texts for line in wrap(text, max(room, _NARROWEST)))


def cut(line: str, room: int) -> str:
    """Return ``line`` in at most ``room`` columns."""
    return line if len(line) <= room else line[: room - 1] + "…"
