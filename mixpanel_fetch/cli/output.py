"""What goes to stdout and what to stderr, and in which form."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click


class Output:
    """Where a command's result and its errors go.

    ``form`` is ``json`` or ``text``. The result goes to stdout, everything else to stderr; a
    destination that is stdout itself pushes the result to stderr.
    """

    def __init__(self, form: str, *, verbose: int = 0) -> None:
        self.form = form
        self.verbose = verbose
        self.stdout_is_taken = False

    @classmethod
    def of_arguments(cls, argv: Sequence[str]) -> Output:
        """Guess the form before the arguments are parsed: they may not parse at all."""
        form = default_form()
        for argument, following in zip(argv, [*argv[1:], ""], strict=False):
            name, _, value = argument.partition("=")
            if name == "--format" and (value or following) in {"json", "text"}:
                form = value or following
        return cls(form, verbose=sum(argument == "-vv" for argument in argv) * 2)

    @property
    def stream(self) -> TextIO:
        """Where the result goes."""
        return sys.stderr if self.stdout_is_taken else sys.stdout

    def document(self, document: Any) -> None:
        """Write one JSON document."""
        click.echo(json.dumps(document, indent=2, ensure_ascii=False), file=self.stream)

    def text(self, line: str = "") -> None:
        """Write one line of a result for people."""
        click.echo(line, file=self.stream)

    def note(self, line: str) -> None:
        """Write one line beside the result."""
        click.echo(line, err=True)

    def error(self, kind: str, message: str) -> None:
        """Say what is wrong: one line on stderr, and with JSON a document as the result."""
        line = " ".join(message.split())
        if self.form == "json" and not self.stdout_is_taken:
            self.document({"error": {"type": kind, "message": line}})
        self.note(f"mp: {line}")

    def traceback_if_asked(self, error: BaseException) -> None:
        """Show where ``error`` came from, with ``-vv`` only. Local values are never shown."""
        if self.verbose >= 2:
            self.note("".join(traceback.format_exception(error)))

    def close_stdout(self) -> None:
        """Give up a stdout whose reader went away, so that the interpreter's exit stays quiet."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def default_form() -> str:
    """Return ``text`` on a terminal, ``json`` otherwise."""
    return "text" if sys.stdout and sys.stdout.isatty() else "json"


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["json", "text"]),
    help="How to write the result: text on a terminal, JSON otherwise.",
)


class _StderrHandler(logging.Handler):
    """Writes log records as one line each, to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        words = " ".join(record.getMessage().split())
        label = "warning: " if record.levelno >= logging.WARNING else ""
        click.echo(f"mp: {label}{words}", err=True)


@contextmanager
def log_on_stderr(verbose: int, *, quiet: bool) -> Iterator[None]:
    """Send the package's log to stderr: warnings, with ``-v`` retries too. For commands only."""
    logger = logging.getLogger("mixpanel_fetch")
    before = (logger.level, logger.handlers, logger.propagate)
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logger.setLevel(logging.ERROR if quiet else levels[min(verbose, 2)])
    logger.handlers, logger.propagate = [_StderrHandler()], False
    try:
        yield
    finally:
        logger.setLevel(before[0])
        logger.handlers, logger.propagate = before[1], before[2]
