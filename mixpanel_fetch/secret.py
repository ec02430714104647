"""Secret: a text that nothing shows by accident. And the one place that redacts URIs."""

from __future__ import annotations

import re

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


_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_PARAMETER = re.compile(
    r"(?i)((?:^|[?&\s;])[\w.-]*(?:password|passwd|pwd|secret|token|key|signature|credential)[\w.-]*=)"
    r"[^&\s;]*"
)


def redact_uri(uri: str) -> str:
    """Return ``uri`` with everything that may be a secret replaced by ``***``.

    User information before ``@`` goes whole (a user name can be a project secret), and so does the
    value of each parameter whose name speaks of a password, secret, token, key or credential.
    """
    return _PARAMETER.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"{MASK}@", uri))
