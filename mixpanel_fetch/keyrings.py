"""Secrets in the keyring of the operating system, where the library keyring and a keyring are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret

SERVICE = "mixpanel-fetch"


@dataclass(frozen=True)
class KeyringEntry:
    """A secret's place in the keyring: service ``mixpanel-fetch``, user ``name``."""

    name: str

    def read(self) -> Secret:
        """Return the secret. Raises ConfigError where it cannot be had."""
        keyring = _library()
        if keyring is None:
            raise ConfigError(
                f"the secret {self.name!r} is in the keyring, which needs a library:"
                " pip install mixpanel-fetch[keyring]"
            )
        try:
            text = keyring.get_password(SERVICE, self.name)
        except Exception as error:  # noqa: BLE001  (backends raise what they like)
            raise ConfigError(f"cannot read the keyring: {_reason(error)}") from None
        if not text:
            raise ConfigError(
                f"the keyring holds no secret {self.name!r}; store it again with"
                " `mp auth add NAME --replace`"
            )
        return Secret(text)

    def write(self, secret: Secret) -> bool:
        """Store ``secret``; return whether that worked."""
        keyring = _library()
        try:
            if keyring is None or keyring.get_keyring().priority < 1:  # its own mark for: do not
                return False
            keyring.set_password(SERVICE, self.name, secret.reveal())
            return bool(keyring.get_password(SERVICE, self.name) == secret.reveal())
        except Exception:  # noqa: BLE001  (locked, or away)
            return False

    def delete(self) -> None:
        """Forget the secret, if the keyring can be asked to."""
        keyring = _library()
        if keyring is not None:
            with suppress(Exception):  # it is gone already, or the keyring is
                keyring.delete_password(SERVICE, self.name)


def _library() -> Any:
    try:
        import keyring
    except ImportError:
        return None
    return keyring


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
