"""What libraries raise, as errors of ours: one line each, and nothing of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError

from mixpanel_fetch.errors import ConfigError, FetchInterruptedError, StorageError
from mixpanel_fetch.secret import MASK, Secret

_LONGEST = 300
_CODE = re.compile(r"<Code>(\w+)</Code>")
_HINTS: tuple[tuple[str, str], ...] = (
    ("NoSuchBucket", "there is no such bucket"),
    ("InvalidAccessKeyId", "the store does not know the access key; see AWS_ACCESS_KEY_ID"),
    ("InvalidClientTokenId", "the store does not know the access key; see AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "the secret key is wrong; see AWS_SECRET_ACCESS_KEY"),
    ("ExpiredToken", "the session token has expired; get a new one"),
    ("InvalidToken", "the session token is wrong; see AWS_SESSION_TOKEN"),
    ("AccessDenied", "the keys have no permission to do this"),
    ("PermanentRedirect", "the bucket is in another region; see the option region"),
    ("AuthorizationHeaderMalformed", "the bucket is in another region; see the option region"),
    ("403 Forbidden", "the keys have no permission to do this"),
    ("builder error", "its address is not https://; allow_http=true lets keys go in the clear"),
    ("instance metadata", "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("169.254.169.254", "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("169.254.170.2", "there are no keys; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ("error sending request", "nobody answers at its address; see the option endpoint_url"),
    ("No space left", "no space left on the disk; free some, then go on with --resume"),
    ("os error 28", "no space left on the disk; free some, then go on with --resume"),
    ("Permission denied", "no permission"),
    ("Out of Memory", "memory_limit is too low for rows of this size"),
)
LIBRARIES = (DeltaError, BaseError, duckdb.Error, OSError)


@contextmanager
def translated(
    doing: str, *, opening: bool = False, secrets: Sequence[Secret] = ()
) -> Iterator[None]:
    """Turn what libraries raise inside into an error of ours that says what was being done.

    ``opening``: nothing was stored yet, the destination itself cannot be used (ConfigError).
    """
    try:
        yield
    except duckdb.InterruptException:
        raise FetchInterruptedError(f"{doing}: stopped") from None
    except LIBRARIES as error:
        kind = ConfigError if opening else StorageError
        # Without its cause: a traceback would repeat what the library quotes.
        raise kind(f"{doing}: {masked(reason(error), secrets)}") from None


@contextmanager
def of_a_query(secrets: Sequence[Secret] = ()) -> Iterator[None]:
    """Turn what DuckDB raises inside into an error that says what is wrong with a query."""
    try:
        yield
    except duckdb.InterruptException:
        raise FetchInterruptedError("the query was stopped") from None
    except duckdb.IOException as error:
        raise StorageError(f"cannot read the table: {masked(reason(error), secrets)}") from None
    except duckdb.Error as error:
        raise ConfigError(masked(_first_line(str(error)), secrets)) from None


def reason(error: BaseException) -> str:
    """Return why, in one line."""
    text = str(error)
    for mark, hint in _HINTS:
        if mark in text:
            return hint
    code = _CODE.search(text)
    if code is not None:
        return f"the store says {code[1]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _first_line(text) or type(error).__name__


def masked(words: str, secrets: Sequence[Secret]) -> str:
    """Return ``words`` without any secret."""
    for secret in secrets:
        if secret:
            words = words.replace(secret.reveal(), MASK)
    return words


def _first_line(text: str) -> str:
    line = " ".join(text.strip().split("\n")[0].split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
