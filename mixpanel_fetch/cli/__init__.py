"""The command ``mp``. :func:`main` is the console script; one command stands in one module."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import click

from mixpanel_fetch.cli.completion import VARIABLE
from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.errors import MixpanelFetchError, ReaderGoneError


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``mp`` and exit with the code that the outcome has (README, "Exit codes")."""
    code = run(sys.argv[1:] if argv is None else list(argv))
    for stream in (sys.stdout, sys.stderr):
        _let_go(stream)
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run ``mp`` with ``argv`` and return its exit code. Errors become one line on stderr."""
    if VARIABLE in os.environ:
        from mixpanel_fetch.cli.completion.answering import answer

        return answer()
    output = Output.of_arguments(argv)
    try:
        return _run(argv, output)
    except BrokenPipeError:
        return ReaderGoneError.exit_code
    except OSError as error:
        output.note(f"mp: cannot write the output: {error.strerror or error}")
        output.traceback_if_asked(error)
        return 1


def _run(argv: list[str], output: Output) -> int:
    """Run ``mp``; raises OSError for nothing but a standard stream that takes no more."""
    from mixpanel_fetch.cli.app import app

    try:
        code = app.main(args=argv, prog_name="mp", standalone_mode=False, obj=output)
    except click.exceptions.NoArgsIsHelpError as error:
        output.note(error.format_message())
        return 3
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "mp"
        output.error("UsageError", f"{error.format_message()} (see `{where} --help`)")
        return 3
    except click.ClickException as error:
        output.error(type(error).__name__, error.format_message())
        return 3
    except (click.Abort, KeyboardInterrupt):
        output.error("Interrupted", "interrupted")
        return 130
    except ReaderGoneError as error:
        if output.verbose:
            output.note(f"mp: {error}")
        return error.exit_code
    except MixpanelFetchError as error:
        output.error(type(error).__name__, str(error))
        output.traceback_if_asked(error)
        return error.exit_code
    except Exception as error:
        if _is_of_a_stream(error):
            raise
        output.error(
            "InternalError",
            f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; this is a bug,"
            " run again with -vv for the traceback",
        )
        output.traceback_if_asked(error)
        return 1
    return code if isinstance(code, int) else 0


def _is_of_a_stream(error: Exception) -> bool:
    """Whether stdout or stderr raised it: files give their name, and sockets have our errors."""
    return isinstance(error, OSError) and error.errno is not None and error.filename is None


def _let_go(stream: TextIO | None) -> None:
    """Throw away what ``stream`` did not take: it is told of by now.

    Python would tell again, and exit with 120.
    """
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
