"""The lines on stderr: words for people, or one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import click

FORMS = ("text", "json")
_LABELLED = {"warning", "error", "critical"}


class StderrLog:
    """Where everything goes that is not the result.

    As JSON, each line has ``time`` (ISO 8601, UTC, milliseconds), ``level`` and ``event``, then
    ``run_id`` once it is known, then what belongs to the event; words are its ``message``.
    """

    def __init__(self, form: str = "text") -> None:
        self.form = form
        self.run_id: str | None = None
        self._write: Callable[[str], None] = _echo

    def say(self, message: str, *, level: str = "info", event: str = "log", **fields: Any) -> None:
        """Write one message of ``mp``."""
        if self.form == "json":
            self.entry(event, level=level, message=message, **fields)
        else:
            label = "warning: " if event == "log" and level in _LABELLED else ""
            self._write(f"mp: {label}{message}")

    def note(self, text: str) -> None:
        """Write a text as it stands."""
        if self.form == "json":
            self.entry("log", message=text.removeprefix("mp: "))
        else:
            self._write(text)

    def entry(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Write one JSON object."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        head = {"time": now.replace("+00:00", "Z"), "level": level, "event": event}
        if self.run_id is not None:
            head["run_id"] = self.run_id
        self._write(json.dumps(head | fields, ensure_ascii=False))

    @contextmanager
    def through(self, write: Callable[[str], None]) -> Iterator[None]:
        """While entered, have ``write`` put lines where they do not disturb a display."""
        before, self._write = self._write, write
        try:
            yield
        finally:
            self._write = before


def _echo(line: str) -> None:
    click.echo(line, err=True)
