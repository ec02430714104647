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

from mixpanel_fetch.cli.stderr_log import FORMS, StderrLog


class Output:
    """Where a command's result and its errors go.

    ``form`` is ``json`` or ``text``. The result goes to stdout, everything else to stderr, through
    ``log``; a destination that is stdout itself pushes the result to stderr.
    """

    def __init__(self, form: str, *, verbose: int = 0, log: StderrLog | None = None) -> None:
        self.form = form
        self.verbose = verbose
        self.log = log or StderrLog()
        self.stdout_is_taken = False

    @classmethod
    def of_arguments(cls, argv: Sequence[str]) -> Output:
        """Guess the forms before the arguments are parsed: they may not parse at all."""
        forms = {"--format": default_form(sys.stdout), "--log-format": FORMS[0]}
        for argument, following in zip(argv, [*argv[1:], ""], strict=False):
            name, _, value = argument.partition("=")
            if name in forms and (value or following) in FORMS:
                forms[name] = value or following
        verbose = sum(argument == "-vv" for argument in argv) * 2
        return cls(forms["--format"], verbose=verbose, log=StderrLog(forms["--log-format"]))

    @property
    def stream(self) -> TextIO:
        """Where the result goes."""
        return sys.stderr if self.stdout_is_taken else sys.stdout

    @property
    def has_style(self) -> bool:
        """Whether the result may be bold or dim (https://no-color.org)."""
        terminal = bool(self.stream and self.stream.isatty())
        return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def document(self, document: Any) -> None:
        """Write one JSON document."""
        if self.stdout_is_taken and self.log.form == "json":
            self.log.entry("result", result=document)
            return
        click.echo(json.dumps(document, indent=2, ensure_ascii=False), file=self.stream)

    def text(self, line: str = "", **style: Any) -> None:
        """Write one line of a result for people; ``style`` as :func:`click.style` has it."""
        if self.stdout_is_taken and self.log.form == "json":
            self.log.note(line)
            return
        click.echo(click.style(line, **style) if self.has_style else line, file=self.stream)

    def note(self, line: str) -> None:
        """Write one line beside the result."""
        self.log.note(line)

    def error(self, kind: str, message: str) -> None:
        """Say what is wrong: one line on stderr, and with JSON a document as the result."""
        line = " ".join(message.split())
        self.log.say(line, level="error", event="error", type=kind)
        if self.form == "json" and not self.stdout_is_taken:
            self.document({"error": {"type": kind, "message": line}})

    def traceback_if_asked(self, error: BaseException) -> None:
        """Show where ``error`` came from, with ``-vv`` only. Local values are never shown."""
        if self.verbose >= 2:
            self.note("".join(traceback.format_exception(error)))


def default_form(stream: TextIO | None) -> str:
    """Return ``text`` where ``stream`` is a terminal, ``json`` otherwise."""
    return "text" if stream and stream.isatty() else "json"


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["json", "text"]),
    help="How to write the result: text on a terminal, JSON otherwise.",
)
log_format_option = click.option(
    "--log-format",
    type=click.Choice(FORMS),
    default=FORMS[0],
    show_default=True,
    help="How to write stderr: lines of text, or one JSON object for each event.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings.")


class _StderrHandler(logging.Handler):
    """Writes log records as one line each."""

    def __init__(self, log: StderrLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        words = " ".join(record.getMessage().split())
        # A thread that runs a job is called after it, and several may run at once.
        about = f"{record.threadName}: " if (record.threadName or "").startswith("job ") else ""
        self._log.say(about + words, level=record.levelname.lower())


@contextmanager
def log_on_stderr(log: StderrLog, verbose: int, *, quiet: bool) -> Iterator[None]:
    """Send the package's log to stderr: warnings, with ``-v`` retries too. For commands only."""
    logger = logging.getLogger("mixpanel_fetch")
    before = (logger.level, logger.handlers, logger.propagate)
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logger.setLevel(logging.ERROR if quiet else levels[min(verbose, 2)])
    logger.handlers, logger.propagate = [_StderrHandler(log)], False
    try:
        yield
    finally:
        logger.setLevel(before[0])
        logger.handlers, logger.propagate = before[1], before[2]
