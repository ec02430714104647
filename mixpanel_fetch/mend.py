"""What no JSON reader takes, replaced: one such value must not cost its page.

Everything here takes time and memory in proportion to the text, whatever it holds.
"""

from __future__ import annotations

import re

# A JSON string, or a bare word that Python and DuckDB take for a number but JSON does not know.
# Both expressions are for text without escapes (_unescaped): a repeated group would need memory
# for each escape, and start anew at each quote of a string that never ends.
_STRING_OR_WORD = re.compile(rb'"[^"]*"|-?\b(?:NaN|Infinity)\b')
_STRING_OR_BRACKET = re.compile(rb'"[^"]*"|[\[\]{}]')
# A surrogate pair, which is well, or what is not.
_BAD = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|(?P<control>[\x00-\x1f])"
)
_CLOSING = {b"[": b"]", b"{": b"}"}
_DEEPEST = 500  # levels; where readers give up depends on what else is on their stack


def mend(body: bytes) -> tuple[bytes, int]:
    """Return ``body`` with what no JSON reader takes replaced, and how many values that were.

    Lone surrogates and invalid UTF-8 become U+FFFD, NaN and infinities become null: no store's
    JSON holds them. Null, too, becomes what is nested without end, where a reader would run out
    of stack. Bare control characters in a string are spelled as escapes.
    """
    shallow, flattened = _flatten(body)
    mended, repaired = _mend_values(shallow)
    return mended, repaired + flattened


def _unescaped(body: bytes) -> bytes:
    """Return ``body`` without escaped quotes and backslashes; everything else keeps its place."""
    return body.replace(rb"\\", b"  ").replace(rb"\"", b"  ")


def _flatten(body: bytes) -> tuple[bytes, int]:
    """Return ``body`` with null for arrays and objects below ``_DEEPEST`` others."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return body, 0
    better = bytearray()
    open_ones: list[bytes] = []
    done = start = flattened = 0
    for match in _STRING_OR_BRACKET.finditer(_unescaped(body)):
        token = match.group()
        if token in _CLOSING:
            open_ones.append(_CLOSING[token])
            if len(open_ones) == _DEEPEST + 1:
                start = match.start()
        elif open_ones and token == open_ones[-1]:
            open_ones.pop()
            if len(open_ones) == _DEEPEST:
                better += body[done:start] + b"null"
                done = match.end()
                flattened += 1
    return (bytes(better + body[done:]) if done else body), flattened


def _mend_values(body: bytes) -> tuple[bytes, int]:
    better = bytearray()
    done = mended = 0
    for match in _STRING_OR_WORD.finditer(_unescaped(body)):
        start, end = match.span()
        token = body[start:end]
        mended_token = _mend_string(token, match[0]) if token[:1] == b'"' else b"null"
        if mended_token != token:
            better += body[done:start] + mended_token
            done = end
            mended += 1
    if done == 0 and body.isascii():
        return body, 0
    # Invalid bytes outside of a string make it no JSON anyway; here they only must not raise later.
    return str(better + body[done:], "utf-8", "replace").encode(), mended


def _mend_string(token: bytes, unescaped: bytes) -> bytes:
    better = bytearray()
    done = 0
    for match in _BAD.finditer(unescaped):
        if match["lone"]:
            better += token[done : match.start()] + rb"\ufffd"
        elif match["control"]:
            better += token[done : match.start()] + rb"\u%04x" % ord(match["control"])
        else:
            continue
        done = match.end()
    whole = bytes(better + token[done:]) if done else token
    return whole if whole.isascii() else str(whole, "utf-8", "replace").encode()
