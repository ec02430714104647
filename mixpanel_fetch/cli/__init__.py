"""The command ``mp``. :func:`main` is the console script; one command stands in one module."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from mixpanel_fetch.cli.output import Output
from mixpanel_fetch.errors import MixpanelFetchError


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``mp`` and exit with the code that the outcome has (README, "Exit codes")."""
    sys.exit(run(sys.argv[1:] if argv is None else list(argv)))


def run(argv: list[str]) -> int:
    """Run ``mp`` with ``argv`` and return its exit code. Errors become one line on stderr."""
    from mixpanel_fetch.cli.app import app

    output = Output.of_arguments(argv)
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
    except BrokenPipeError:
        output.close_stdout()
        return 141
    except MixpanelFetchError as error:
        output.error(type(error).__name__, str(error))
        output.traceback_if_asked(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  (a user never sees a traceback)
        output.error(
            "InternalError",
            f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; this is a bug,"
            " run again with -vv for the traceback",
        )
        output.traceback_if_asked(error)
        return 1
    return code if isinstance(code, int) else 0
