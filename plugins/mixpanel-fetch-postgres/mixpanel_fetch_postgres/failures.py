"""psycopg's exceptions as ours: one line each, and nothing of a secret or a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors

from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, StorageError
from mixpanel_fetch.secret import MASK, Secret

_LONGEST = 300
_HINTS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "no space left on the server's disk"),
    (errors.LockNotAvailable, "another transaction holds the table; try again once it has ended"),
    (errors.StatementTooComplex, "a value is nested too deeply for the server's max_stack_depth"),
    (errors.QueryCanceled, "the server ended the statement; is its statement_timeout too short?"),
)
_OF_THE_SERVER = (psycopg.OperationalError, psycopg.InterfaceError)


@contextmanager
def translated(
    doing: str, *, opening: bool = False, secrets: Sequence[Secret] = ()
) -> Iterator[None]:
    """Turn what psycopg raises inside into an error of ours that says what was being done.

    ``opening``: nothing was stored yet, the destination itself cannot be used (ConfigError).
    """
    try:
        yield
    except psycopg.Error as error:
        # Without its cause: a traceback would repeat the rows that the server's words quote.
        raise explained(error, doing, opening=opening, secrets=secrets) from None


@contextmanager
def of_a_query() -> Iterator[None]:
    """Turn what psycopg raises inside into an error of ours that says what is wrong with a query.

    The server's own words, with its hint: the query and the rows are the user's.
    """
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, _OF_THE_SERVER):
            raise explained(error, "cannot answer the query") from None
        hint = error.diag.message_hint
        if isinstance(error, errors.SyntaxError):
            hint = hint or "a query begins with SELECT, WITH, VALUES or TABLE, and is one"
        words = _words(error)
        raise ConfigError(f"{words}; {' '.join(hint.split())}" if hint else words) from None


def explained(
    error: psycopg.Error, doing: str, *, opening: bool = False, secrets: Sequence[Secret] = ()
) -> MixpanelFetchError:
    """Return the error of ours for one of psycopg's."""
    kind = ConfigError if opening else StorageError
    for family, hint in _HINTS:
        if isinstance(error, family):
            return kind(f"{doing}: {hint}")
    words = _masked(_words(error), secrets)
    if is_lost(error) and not opening:
        return kind(f"{doing}: the connection to the server was lost: {words}")
    return kind(f"{doing}: {words}")


def is_about_values(error: psycopg.Error) -> bool:
    """Whether the server refused a value, and may take a better one."""
    return isinstance(error, (psycopg.DataError, errors.StatementTooComplex))


def is_lost(error: psycopg.Error) -> bool:
    """Whether no more statements can follow."""
    if isinstance(error, (errors.AdminShutdown, errors.CrashShutdown)):
        return True
    # Without a state it was not the server that spoke.
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


def _words(error: psycopg.Error) -> str:
    # Only the message: the detail and the context repeat the user's data.
    text = error.diag.message_primary or str(error).strip() or type(error).__name__
    line = " ".join(text.split("\n")[0].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _masked(words: str, secrets: Sequence[Secret]) -> str:
    for secret in secrets:
        words = words.replace(secret.reveal(), MASK)
    return words
