"""The key of ``hash``: from the environment or a keyring, never from a command line."""

from __future__ import annotations

import os
import re
from importlib import import_module

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret

DEFAULT_VARIABLE = "MP_REDACT_KEY"
SHORTEST = 32
_ADVICE = f"at least {SHORTEST} characters, such as what `openssl rand -hex 32` prints"
# A name that people give to variables. Anything else may be the key itself, in the wrong place,
# and must not be shown.
_USUAL_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,30}", re.ASCII)


def key_from_environment(variable: str) -> Secret:
    """Return the key in the environment's ``variable``, outer blanks removed.

    Raises ConfigError without one, or for one that is too short.
    """
    named = variable if _USUAL_NAME.fullmatch(variable) else "that key_env names"
    where = f"the environment variable {named}"
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"hash needs a key: set {where} to {_ADVICE}")
    return _long_enough(key, where)


def key_from_keyring(service: str, user: str) -> Secret:
    """Return the password that the keyring holds for ``user`` of ``service``.

    Raises ConfigError without one, for one that is too short, and where there is no keyring.
    """
    try:
        keyring = import_module("keyring")
        failed: type[Exception] = import_module("keyring.errors").KeyringError
    except ImportError:
        raise ConfigError(
            "keyring is not installed: pip install 'mixpanel-fetch-redact[keyring]',"
            f" or set {DEFAULT_VARIABLE}"
        ) from None
    try:
        key = (keyring.get_password(service, user) or "").strip()
    except failed as error:
        raise ConfigError(
            f"the keyring cannot be read ({type(error).__name__}); unlock it, or use key_env"
        ) from None
    where = f"the keyring's password of {user!r} for {service!r}"
    if not key:
        raise ConfigError(f"hash needs a key: set {where} to {_ADVICE}")
    return _long_enough(key, where)


def _long_enough(key: str, where: str) -> Secret:
    if len(key) < SHORTEST:
        raise ConfigError(f"the key of hash is too short: set {where} to {_ADVICE}")
    return Secret(key)
