"""Settings: defaults < file < environment < arguments. And the default names of plugins."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import platformdirs

from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.model import Credentials
from mixpanel_fetch.secret import Secret, names_a_secret, redact_uri

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_DESTINATION = "duckdb:///mixpanel.duckdb"
DEFAULT_WORKERS = 5
PARALLEL_STRATEGY = "gevent-pool"
SEQUENTIAL_STRATEGY = "sequential"

_ENVIRONMENT = {
    "MP_USERNAME": "username",
    "MP_SECRET": "secret",
    "MP_PROJECT_ID": "project_id",
    "MP_REGION": "region",
    "MP_WORKSPACE_ID": "workspace_id",
    "MP_API_SECRET": "api_secret",
    "MP_API_BASE_URL": "api_base_url",
    "MP_DESTINATION": "destination",
}
_SECRETS = frozenset({"secret", "api_secret"})
_PLUGIN_PREFIX = "MP_PLUGIN_"


@dataclass(frozen=True)
class Destination:
    """A destination URI, taken apart: ``NAME://LOCATION?option=value``.

    ``location`` is the text between ``://`` and ``?`` with one leading slash removed, not yet
    percent-decoded. ``label`` is the URI without its secrets, for people and metadata.
    """

    sink: str
    location: str = field(repr=False)
    options: dict[str, str] = field(repr=False)
    label: str

    @classmethod
    def parse(cls, uri: str) -> Destination:
        """Take ``uri`` apart. Raises ConfigError when it is none."""
        sink, mark, rest = uri.partition("://")
        if not mark or not sink:
            raise ConfigError(
                f"the destination {redact_uri(uri)!r} is no URI; write NAME://LOCATION,"
                " for example duckdb:///profiles.duckdb"
            )
        location, _, query = rest.partition("?")
        try:
            options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError:
            raise ConfigError(
                f"the options of {redact_uri(uri)!r} must be written ?key=value&key=value"
            ) from None
        return cls(sink, location.removeprefix("/"), options, redact_uri(uri))


@dataclass(frozen=True)
class Settings:
    """What the file, the environment and the arguments came to.

    ``plugins`` holds option tables by plugin name.
    """

    account: Mapping[str, Any] = field(default_factory=dict, repr=False)
    api_base_url: str | None = field(default=None, repr=False)
    destination: str = field(default=DEFAULT_DESTINATION, repr=False)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    def credentials(self) -> Credentials:
        """Return the credentials. Raises ConfigError when they are missing or cannot work."""
        known = {key: self.account[key] for key in _CREDENTIAL_KEYS if self.account.get(key)}
        return Credentials(**known)


_CREDENTIAL_KEYS = ("username", "secret", "project_id", "region", "workspace_id", "api_secret")


def load_settings(
    account: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
    **arguments: Any,
) -> Settings:
    """Return the settings: file, then environment, then ``arguments`` (None: not given).

    ``account`` names an ``[accounts.NAME]`` table of the file. The file is ``path``, else
    ``MP_CONFIG``, else the default one, which may be missing. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["MP_CONFIG"]).expanduser() if environ.get("MP_CONFIG") else None)
    document, warnings = _read_file(named or default_config_path(), required=named is not None)
    merged = {k: v for k, v in document.items() if k not in {"accounts", "plugins"}}
    if account is not None:
        merged |= _named_account(document, account)
    merged |= {key: environ[name] for name, key in _ENVIRONMENT.items() if environ.get(name)}
    merged |= {key: value for key, value in arguments.items() if value is not None}
    merged |= {key: _as_secret(merged[key]) for key in _SECRETS & merged.keys()}
    if merged.get("api_secret") and not (merged.get("username") and merged.get("secret")):
        warnings.append(
            "a project secret is in use: Mixpanel retires it on 2027-03-03; make a service account"
        )
    return Settings(
        account=merged,
        api_base_url=merged.get("api_base_url"),
        destination=merged.get("destination", DEFAULT_DESTINATION),
        plugins=_plugin_tables(document, environ),
        warnings=tuple(warnings),
    )


def default_config_path() -> Path:
    """Return where the configuration file is looked for when nothing names one."""
    return platformdirs.user_config_path("mixpanel-fetch") / "config.toml"


def _read_file(path: Path, *, required: bool) -> tuple[dict[str, Any], list[str]]:
    from marshmallow import ValidationError

    from mixpanel_fetch.schemas import ConfigSchema, one_line

    try:
        text = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        if required:
            raise ConfigError(f"the configuration file {path} is missing") from None
        return {}, []
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from None
    try:
        document = dict(ConfigSchema().load(tomllib.loads(text.decode())))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's own message could quote a line that holds a secret.
        raise ConfigError(f"the configuration file {path} is not valid TOML") from None
    except ValidationError as error:
        raise ConfigError(f"in the configuration file {path}: {one_line(error)}") from None
    warnings = []
    if _holds_a_secret(document) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.append(f"others can read the secret in {path}; run chmod 600 on it")
    return document, warnings


def _holds_a_secret(document: Mapping[str, Any]) -> bool:
    return any(
        _holds_a_secret(value)
        if isinstance(value, Mapping)
        else names_a_secret(key) or redact_uri(str(value)) != str(value)
        for key, value in document.items()
    )


def _named_account(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    accounts = document.get("accounts", {})
    if name not in accounts:
        known = ", ".join(sorted(accounts)) or "none"
        raise ConfigError(
            f"no account is called {name!r} in the configuration file; known: {known}"
        )
    return dict(accounts[name])


def _plugin_tables(
    document: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return option tables by plugin name; ``MP_PLUGIN_DUCKDB_MEMORY_LIMIT`` beats the file.

    The environment cannot tell where a name ends and an option begins, so its entries are kept
    under their whole text and matched by :func:`options_for`.
    """
    tables = {name: dict(table) for name, table in document.get("plugins", {}).items()}
    named = {
        key.removeprefix(_PLUGIN_PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(_PLUGIN_PREFIX)
    }
    return tables | {_PLUGIN_PREFIX: named}


def options_for(settings: Settings, plugin: str, known: set[str]) -> dict[str, Any]:
    """Return the options that file and environment give ``plugin``, of those it ``known``ly has."""
    options = dict(settings.plugins.get(plugin, {}))
    prefix = plugin.lower().replace("-", "_") + "_"
    for text, value in settings.plugins.get(_PLUGIN_PREFIX, {}).items():
        if text.startswith(prefix):
            options |= {k: value for k in known if k.lower() == text.removeprefix(prefix)}
    return options


def parse_option(text: str) -> tuple[str, str]:
    """Return the parts of ``KEY=VALUE``. Raises PluginError."""
    key, mark, value = text.partition("=")
    if not mark or not key.strip():
        raise PluginError(f"write -o KEY=VALUE, not {redact_uri(text)!r}")
    return key.strip(), value


def _as_secret(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)
