"""The page progress bar, for stderr when it is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import click

from mixpanel_fetch.model import ProfileBatchProgress

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


class PageProgressBar:
    """A callback for ``on_batch_complete`` that draws a bar; a context manager that ends it.

    The bar begins with the first page, which says how many there are.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: ProgressBar[Any] | None = None
        self._rows = self._failed = 0

    def __enter__(self) -> PageProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, traceback)

    def __call__(self, progress: ProfileBatchProgress) -> None:
        """Take one page in."""
        self._rows += progress.rows
        self._failed += not progress.success
        if self._bar is None:
            self._bar = click.progressbar(
                length=progress.total_pages,
                label="pages",
                file=self._stream,
                show_pos=True,
                item_show_func=self._summary,
            ).__enter__()
        self._bar.update(1, progress)

    def _summary(self, progress: object) -> str | None:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._rows:,} rows{failed}" if progress is not None else None


def stderr_is_terminal() -> bool:
    """Whether a bar on stderr would be seen."""
    return bool(sys.stderr and sys.stderr.isatty())
