"""The configuration file: where it is, what it says, and how it is replaced."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.keyrings import KeyringEntry
from mixpanel_fetch.precedence import Given, Layer, Origin
from mixpanel_fetch.secret import names_a_secret, redact_uri

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NOT_SETTINGS = frozenset({"accounts", "default", "groups", "keyring", "plugins"})


@dataclass(frozen=True)
class ConfigFile:
    """What the configuration file at ``path`` says; nothing where there is none."""

    path: Path
    exists: bool = False
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, *, required: bool) -> ConfigFile:
        """Read the file at ``path``. Raises ConfigError when it is wrong, or missing though due."""
        try:
            text = path.read_bytes()
            mode = path.stat().st_mode
        except FileNotFoundError:
            if required:
                raise ConfigError(f"the configuration file {path} is missing") from None
            return cls(path)
        except OSError as error:
            raise ConfigError(
                f"cannot read the configuration file {path}: {error.strerror}"
            ) from None
        document = parsed(text, path)
        warnings = []
        if holds_a_secret(document) and mode & (stat.S_IRWXG | stat.S_IRWXO):
            warnings.append(f"others can read the secret in {path}; run chmod 600 on it")
        return cls(path, True, document, tuple(warnings))

    @property
    def default(self) -> str | None:
        """The name of the account that counts when none is named."""
        return self.document.get("default")

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, in the file's order."""
        return tuple(self.document.get("accounts", {}))

    def top_level(self) -> Layer:
        """Return the settings that belong to no account."""
        return _layer(self.document, Origin("file"))

    def account(self, name: str) -> Layer:
        """Return the settings of ``[accounts.NAME]``. Raises ConfigError where there is none."""
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts)) or "none; `mp auth add NAME` adds one"
            raise ConfigError(
                f"no account is called {name!r} in the configuration file; known: {known}"
            )
        return _layer(self.document["accounts"][name], Origin("file", f"[accounts.{name}]"))

    def groups(self, account: str | None) -> dict[str, str]:
        """Return the numbers of group keys by name: the top level's, and ``account``'s over them.

        Raises ConfigError where there is no such account.
        """
        if account is not None:
            self.account(account)
        own = self.document["accounts"][account].get("groups", {}) if account is not None else {}
        return {**self.document.get("groups", {}), **own}


def default_config_path() -> Path:
    """Return where the configuration file is looked for when nothing names one."""
    return platformdirs.user_config_path("mixpanel-fetch") / "config.toml"


def config_path(environ: Mapping[str, str]) -> tuple[Path, bool]:
    """Return where the configuration file is, and whether ``MP_CONFIG`` says so."""
    named = environ.get("MP_CONFIG")
    return (Path(named).expanduser(), True) if named else (default_config_path(), False)


def parsed(text: bytes, path: Path) -> dict[str, Any]:
    """Return what ``text`` says, checked. Raises ConfigError that quotes nothing of it."""
    from marshmallow import ValidationError

    from mixpanel_fetch.schemas import ConfigSchema, one_line

    try:
        return dict(ConfigSchema().load(tomllib.loads(text.decode())))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        # The parser's own message could quote a line that holds a secret.
        raise ConfigError(f"the configuration file {path} is not valid TOML") from None
    except ValidationError as error:
        raise ConfigError(f"in the configuration file {path}: {one_line(error)}") from None


def replace_file(path: Path, text: bytes) -> None:
    """Put ``text`` in place of the file, whole or not at all. Raises OSError.

    A file that holds a secret is its owner's alone; another keeps its mode, a new one has 0600. A
    symbolic link stays one.
    """
    target = path.resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode, owner = 0o600, None
    if target.exists():
        found = target.stat()
        owner = (found.st_uid, found.st_gid)
        mode = stat.S_IMODE(found.st_mode)
        if holds_a_secret(parsed(text, path)):
            mode = (mode | stat.S_IWUSR) & ~(stat.S_IRWXG | stat.S_IRWXO)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink()
        raise


def holds_a_secret(document: Mapping[str, Any]) -> bool:
    """Whether something in ``document`` is for nobody else to read."""
    return any(
        holds_a_secret(value)
        if isinstance(value, Mapping)
        else key != "keyring" and (names_a_secret(key) or redact_uri(str(value)) != str(value))
        for key, value in document.items()
    )


def _layer(table: Mapping[str, Any], origin: Origin) -> dict[str, Given]:
    """Return the settings of ``table``; ``keyring`` stands for the secret that it names."""
    layer = {k: Given(v, origin) for k, v in table.items() if k not in _NOT_SETTINGS}
    if "keyring" in table:
        kind = "secret" if "username" in table else "api_secret"
        entry = KeyringEntry(table["keyring"])
        layer.setdefault(kind, Given(entry, Origin("keyring", entry.name)))
    return layer
