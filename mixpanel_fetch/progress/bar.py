"""The progress bar, drawn by rich on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from mixpanel_fetch.progress.picture import Picture, picture
from mixpanel_fetch.progress.standing import Standing

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_PATIENCE = 0.5  # seconds: a run that ends before draws nothing


class Bar:
    """A :class:`~mixpanel_fetch.progress.watcher.Display` on a terminal.

    The lines at the bottom are drawn over and over, others go above. The cursor is never hidden: a
    process that is killed could not bring it back. Nothing else of the terminal, or of the process,
    is changed. rich loads when there is something to draw.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live: Live | None = None
        self._drawn: tuple[int, Picture] | None = None

    def show(self, standing: Standing, now: float) -> None:
        """Draw the state of the run."""
        soon = now - standing.began < _PATIENCE
        if self._live is None and standing.phase == "opening" and soon:
            return
        self._draw(standing, now)

    def write(self, line: str) -> None:
        """Write ``line`` above the bar."""
        if self._live is None:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        else:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self, standing: Standing, now: float) -> None:
        """Draw the end, and go below it; what was never opened leaves nothing behind."""
        if standing.phase == "opening":
            if self._live is not None:
                self._live.transient = True
                self._live.stop()
            return
        self._draw(standing, now)
        assert self._live is not None
        self._live.stop()

    def _draw(self, standing: Standing, now: float) -> None:
        if self._live is None:
            self._live = _live(self._stream)
            self._live.start()
        width = self._live.console.width
        new = (width, picture(standing, now, width))
        if new != self._drawn:
            self._drawn = new
            self._live.update(_rendered(new[1], standing), refresh=True)


def _live(stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live

    class _Console(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
            return False

    console = _Console(
        file=stream,
        force_terminal=True,
        force_interactive=True,
        force_jupyter=False,
        emoji=False,
        markup=False,
        highlight=False,
    )
    return Live(
        console=console,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    )


def _rendered(shown: Picture, standing: Standing) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    beside: RenderableType = Text(shown.beside, no_wrap=True)
    if shown.bar:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row(ProgressBar(standing.total_pages, standing.landed, width=shown.bar), beside)
        beside = grid
    return Group(beside, *(Text(line, style="yellow", no_wrap=True) for line in shown.below))
