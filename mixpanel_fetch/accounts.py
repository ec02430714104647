"""The accounts of the configuration file: added, made the default, removed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from mixpanel_fetch.config_file import ConfigFile, default_config_path, parsed, replace_file
from mixpanel_fetch.config_text import with_account, with_default, without_account
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.keyrings import KeyringEntry
from mixpanel_fetch.precedence import IDENTITY
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.shared_files import SharedFiles

_NAME = re.compile(r"[\w.@+-]{1,64}", re.ASCII)
_Keeper = Literal["keyring", "file"]


class AccountStore:
    """Changes the configuration file at ``path``; its comments and its layout stay.

    A change is one replacement of the file, made under a lock that processes share. Methods raise
    ConfigError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> ConfigFile:
        """Return what the file says now."""
        return ConfigFile.read(self.path, required=False)

    def check_new(self, name: str, *, replace: bool) -> None:
        """Raise ConfigError unless :meth:`add` may be asked for ``name``."""
        if not _NAME.fullmatch(name):
            raise ConfigError(
                "the name of an account has letters, digits and . _ @ + - in it, 64 at most"
            )
        if name in self.read().accounts and not replace:
            raise ConfigError(f"there is an account {name!r} already; --replace takes its place")

    def add(
        self,
        name: str,
        values: Mapping[str, str],
        secret: Secret,
        *,
        replace: bool = False,
        keyring: bool = True,
    ) -> _Keeper:
        """Store an account, and return where its secret is kept.

        ``values`` are settings by name; with a ``username`` the ``secret`` is a service account's,
        else a project's. ``keyring`` says whether it may go there. The first account of a file
        becomes its default.
        """
        self.check_new(name, replace=replace)
        entry = self._entry(name)
        before = None if entry is None else _text_of(entry)
        fresh = entry or KeyringEntry(self._entry_name(name))
        kept: _Keeper = "keyring" if keyring and fresh.write(secret) else "file"
        kind = "secret" if "username" in values else "api_secret"
        own = {"keyring": fresh.name} if kept == "keyring" else {kind: secret.reveal()}
        try:
            self._change(lambda text, said: _with_account(text, said, name, {**values, **own}))
        except BaseException:
            if kept == "keyring" and before is None:
                fresh.delete()
            elif kept == "keyring" and before is not None:
                fresh.write(before)
            raise
        if kept == "file" and entry is not None:
            entry.delete()
        return kept

    def use(self, name: str) -> None:
        """Make ``name`` the account that counts when none is named."""
        self.read().account(name)
        self._change(lambda text, _: with_default(text, name))

    def remove(self, name: str) -> None:
        """Remove an account, and its secret with it."""
        self.read().account(name)
        entry = self._entry(name)
        self._change(lambda text, said: _without_account(text, said, name))
        if entry is not None:
            entry.delete()

    def _entry(self, name: str) -> KeyringEntry | None:
        table = self.read().document.get("accounts", {}).get(name, {})
        return KeyringEntry(table["keyring"]) if "keyring" in table else None

    def _entry_name(self, name: str) -> str:
        # Two files may call an account the same; the keyring is one.
        return name if self.path == default_config_path() else f"{name} ({self.path.resolve()})"

    def _change(self, change: Callable[[str, Mapping[str, Any]], str]) -> None:
        """Replace the file by what ``change`` makes of its text; it is also told what that says."""
        digest = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        try:
            with SharedFiles().locked(f"config-{digest}.lock", time.sleep):
                before = b""
                with suppress(FileNotFoundError):
                    before = self.path.read_bytes()
                document = parsed(before, self.path)
                after = change(before.decode(), document).encode()
                parsed(after, self.path)
                replace_file(self.path, after)
        except OSError as error:
            raise ConfigError(
                f"cannot write the configuration file {self.path}: {error.strerror}"
            ) from None


def _with_account(text: str, said: Mapping[str, Any], name: str, values: Mapping[str, str]) -> str:
    text = with_account(text, name, values)
    others = said.keys() & ({"accounts", "default", "keyring"} | IDENTITY)
    return text if others else with_default(text, name)


def _without_account(text: str, said: Mapping[str, Any], name: str) -> str:
    text = without_account(text, name)
    return with_default(text, None) if said.get("default") == name else text


def _text_of(entry: KeyringEntry) -> Secret | None:
    try:
        return entry.read()
    except ConfigError:
        return None
