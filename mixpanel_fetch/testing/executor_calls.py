"""What the kit for executors has called, in other threads, processes or machines.

Calls tell of themselves by files in a folder, which the tests and the calls both see.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpanel_fetch.errors import RateLimitError


def whereabouts() -> str:
    """Return which process of which machine this is."""
    return f"{socket.gethostname()}-{os.getpid()}"


def given(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments."""
    return args, kwargs


def refuse(words: str) -> None:
    """Raise an error of ours that says more than its words."""
    raise RateLimitError(words, retry_after=7.5, limit="hourly")


def span(seconds: float) -> tuple[float, float]:
    """Take ``seconds``, and return when that began and when it ended."""
    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def die() -> None:
    """End this process, as the system does with one that takes too much memory."""
    os._exit(70)


@dataclass(frozen=True)
class Held:
    """A call that lasts until it is let go, by a file, or for ``patience`` seconds at most."""

    folder: Path
    patience: float

    def __call__(self) -> bool:
        """Last; return whether it was let go."""
        _write(self.began, whereabouts())
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            if self._let_go.exists():
                return True
            time.sleep(0.01)
        return False

    @property
    def began(self) -> Path:
        """The file that is there once the call runs, with :func:`whereabouts` in it."""
        return self.folder / "began"

    @property
    def _let_go(self) -> Path:
        return self.folder / "let-go"

    def let_go(self) -> None:
        """Have the call end."""
        self._let_go.touch()


@dataclass(frozen=True)
class Note:
    """Leaves a file that says where it was called."""

    folder: Path

    def __call__(self) -> None:
        """Leave the file."""
        _write(self.folder / whereabouts(), "")

    def callers(self) -> set[str]:
        """Return where it was called."""
        return {path.name for path in self.folder.iterdir() if path.suffix != ".new"}


def _write(path: Path, text: str) -> None:
    # Whole once it is there: somebody waits for it.
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path)
