"""Secret: a text that nothing shows by accident. And the one place that redacts URIs."""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"


class Secret:
    """A text whose ``repr``, ``str`` and format are ``***``; :meth:`reveal` gives it up.

    Compares equal to another Secret of the same text. Wrap credentials, and locations that may
    hold one (``postgresql://user:password@host``).
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Never log, print or store what comes back."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (self._text,))


_SPEAKS = re.compile(r"(?i)pass|pwd|secret|token|key|credential|auth|signature|\bsig\b")
_URI_PARAMETER = re.compile(r"([?&])([^=&?]*)=([^&]*)")
_DSN_PARAMETER = re.compile(r"([\w.-]+)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]*)")
# From "://" to the last "@": a password that is not percent-encoded may hold anything. A third
# slash begins a path, which has no user information.
_COLON_PARAMETER = re.compile(r"([\w.-]+)(:)(\S+)")
# What looks like one where "://" was left out.
_BARE_USERINFO = re.compile(r"[^\s'\"/:@]*:[^\s'\"]*@")
_USERINFO = re.compile(r"(?<=://)(?!/).*@", re.DOTALL)


def names_a_secret(name: str) -> bool:
    """Whether a setting of this name is one that nothing should show."""
    return _SPEAKS.search(name) is not None


def redact_uri(uri: str) -> str:
    """Return ``uri`` with everything that may be a secret replaced by ``***``.

    User information before ``@`` goes whole (a user name can be a project secret), and so does the
    value of each parameter whose name speaks of a secret. Takes connection strings of the
    ``key=value key=value`` kind too, and sentences that quote either. When in doubt, more goes.
    """
    if "://" not in uri:
        bare = _DSN_PARAMETER.sub(_mask_dsn, _BARE_USERINFO.sub(f"{MASK}@", uri))
        return _COLON_PARAMETER.sub(_mask_dsn, bare)
    return _USERINFO.sub(f"{MASK}@", _URI_PARAMETER.sub(_mask_uri, uri))


def _mask_uri(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    speaks = names_a_secret(unquote(name)) or ("=" in value and names_a_secret(unquote(value)))
    return f"{mark}{name}={MASK}" if speaks else match.group()


def _mask_dsn(match: re.Match[str]) -> str:
    name, equals, _ = match.groups()
    return f"{name}{equals}{MASK}" if names_a_secret(name) else match.group()
