"""What no JSON reader takes, replaced: one such value must not cost its page."""

from __future__ import annotations

import re

# A JSON string, or a bare word that Python and DuckDB take for a number but JSON does not know.
_STRING_OR_WORD = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend(body: bytes) -> tuple[bytes, int]:
    """Return ``body`` with what no JSON reader takes replaced, and how many values that were.

    Lone surrogates and invalid UTF-8 become U+FFFD, NaN and infinities become null: no store's
    JSON holds them.
    """
    pieces: list[bytes] = []
    done = mended = 0
    for match in _STRING_OR_WORD.finditer(body):
        token = match.group()
        better = _mend_string(token) if token[:1] == b'"' else b"null"
        if better != token:
            pieces += [body[done : match.start()], better]
            done = match.end()
            mended += 1
    # Invalid bytes outside of a string make it no JSON anyway; here they only must not raise later.
    return str(b"".join([*pieces, body[done:]]), "utf-8", "replace").encode(), mended


def _mend_string(token: bytes) -> bytes:
    return str(_ESCAPE.sub(_mend_escape, token), "utf-8", "replace").encode()


def _mend_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match.group("lone") else match.group()
