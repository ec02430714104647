"""The pages of the documentation, and what stands in them: blocks of code, words set as code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN_BY_REFERENCE = {DOCS / "cli.md", DOCS / "authors/hooks.md"}

_FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<language>[\w-]+)\n(?P<code>.*?)^```$", re.S | re.M
)
_ANY_FENCE = re.compile(r"^```.*?^```$", re.S | re.M)
_INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_FIRST_CELL = re.compile(r"^\| (?:[^|\n]|\\\|)*(?=\|)", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block. ``note``: the comment above it, which says how to take it."""

    page: Path
    line: int
    language: str
    code: str
    note: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return the pages that were written by hand, those of the plugins included."""
    docs = {page for page in DOCS.rglob("*.md") if "_build" not in page.parts}
    own = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("plugins/*/README.md")]
    return sorted({*docs, *own} - WRITTEN_BY_REFERENCE)


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of ``page``, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")) + 1,
            match["language"],
            match["code"],
            match["note"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def inline_code(page: Path) -> Iterator[tuple[str, str]]:
    """Yield what is set as code in running text, with its place.

    In the guides on coming from another tool, the first cell of a row is that tool's.
    """
    text = _ANY_FENCE.sub(_blank, page.read_text(encoding="utf-8"))
    if page.name.startswith("from-"):
        text = _FIRST_CELL.sub(_blank, text)
    for match in _INLINE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        code = " ".join(match[1].replace(r"\|", "|").split())
        yield f"{page.relative_to(ROOT)}:{line}", code


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")
