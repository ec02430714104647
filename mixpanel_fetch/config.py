"""Settings: defaults < file < environment < arguments. And the default names of plugins.

An account of the file stands between the file's top level and the environment; one that an
argument names stands above the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mixpanel_fetch.config_file import ConfigFile, config_path
from mixpanel_fetch.config_file import default_config_path as default_config_path
from mixpanel_fetch.errors import ConfigError, PluginError
from mixpanel_fetch.keyrings import KeyringEntry
from mixpanel_fetch.model import Credentials
from mixpanel_fetch.plugin_options import given_to, plugin_tables
from mixpanel_fetch.precedence import (
    Given,
    Layer,
    Origin,
    merged,
    names_someone,
    stacked,
)
from mixpanel_fetch.secret import Secret, redact_uri

DEFAULT_DESTINATION = "duckdb:///mixpanel.duckdb"
DEFAULT_WORKERS = 5
PARALLEL_STRATEGY = "gevent-pool"
SEQUENTIAL_STRATEGY = "sequential"

SETTINGS = {
    "username": "MP_USERNAME",
    "secret": "MP_SECRET",
    "project_id": "MP_PROJECT_ID",
    "region": "MP_REGION",
    "workspace_id": "MP_WORKSPACE_ID",
    "api_secret": "MP_API_SECRET",
    "api_base_url": "MP_API_BASE_URL",
    "destination": "MP_DESTINATION",
}
"""Each setting, and the variable of the environment that it may come from."""

_DEFAULTS = {"region": "us", "destination": DEFAULT_DESTINATION}
_SECRETS = frozenset({"secret", "api_secret"})
_CREDENTIALS = ("username", "secret", "project_id", "region", "workspace_id", "api_secret")


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
class Selection:
    """The account that counts, and who says so: an argument, ``MP_ACCOUNT``, the file.

    ``ousted``: it would be the file's default, but others say who asks.
    """

    name: str
    origin: Origin
    ousted: bool = False


@dataclass(frozen=True)
class Settings:
    """What the file, the environment and the arguments came to.

    ``account`` holds values by setting, ``origins`` where each comes from; ``plugins`` holds
    option tables by plugin name; ``file`` is where the configuration file is, or would be.
    """

    account: Mapping[str, Any] = field(default_factory=dict, repr=False)
    api_base_url: str | None = field(default=None, repr=False)
    destination: str = field(default=DEFAULT_DESTINATION, repr=False)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False)
    selection: Selection | None = field(default=None, repr=False)
    file: ConfigFile | None = field(default=None, repr=False)

    def credentials(self) -> Credentials:
        """Return the credentials. Raises ConfigError when they are missing or cannot work."""
        known = {key: self.account[key] for key in _CREDENTIALS if self.account.get(key)}
        if self.selection and self.selection.ousted and not known.keys() & _SECRETS:
            raise ConfigError(
                f"user {known['username']!r} has no secret: set MP_SECRET, or unset MP_USERNAME to"
                f" have account {self.selection.name!r} again"
            )
        return Credentials(**{key: _looked_up(value) for key, value in known.items()})

    def group_id(self, group_key: str) -> str:
        """Return the number that the file gives ``group_key``. Raises ConfigError."""
        account = None
        if self.selection is not None and not self.selection.ousted:
            account = self.selection.name
        known = {} if self.file is None else self.file.groups(account)
        if group_key not in known:
            table = f"[accounts.{account}.groups]" if account else "[groups]"
            there = ", ".join(sorted(known)) or "none"
            raise ConfigError(
                f"the number of the group key {group_key!r} is not known: give --group-id, or"
                f" write it under {table} in the configuration file (known there: {there})"
            )
        return known[group_key]


def load_settings(
    account: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
    **arguments: Any,
) -> Settings:
    """Return the settings: file, then environment, then ``arguments`` (None: not given).

    ``account`` names an ``[accounts.NAME]`` table of the file; it wins over the environment, whose
    user and secrets are left out. ``MP_ACCOUNT`` names one that the other variables win over. Else
    the file's ``default`` counts, unless the environment or ``arguments`` say who asks. The file
    is ``path``, else ``MP_CONFIG``, else the default one, which may be missing. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    where, required = (path, True) if path is not None else config_path(environ)
    file = ConfigFile.read(where, required=required)
    defaults = {key: Given(value, Origin("default")) for key, value in _DEFAULTS.items()}
    variables = _variables(environ)
    given = {k: Given(v, Origin("argument")) for k, v in arguments.items() if v is not None}
    selection = _select(account, environ, file, merged([variables, given]))
    known = defaults | stacked(
        file.top_level(),
        {} if selection is None or selection.ousted else file.account(selection.name),
        variables,
        given,
        account_wins=account is not None,
    )
    values: dict[str, Any] = {
        name: _as_secret(one.value) if name in _SECRETS else one.value
        for name, one in known.items()
    }
    return Settings(
        account=values,
        api_base_url=values.get("api_base_url"),
        destination=values["destination"],
        plugins=plugin_tables(file.document, environ),
        warnings=(*file.warnings, *_warnings(values, selection, variables)),
        origins={name: one.origin for name, one in known.items()},
        selection=selection,
        file=file,
    )


def _warnings(
    values: Mapping[str, Any], selection: Selection | None, variables: Layer
) -> Iterator[str]:
    if values.get("api_secret") and not (values.get("username") and values.get("secret")):
        yield (
            "a project secret is in use: Mixpanel retires it on 2027-03-03; make a service account"
        )
    if selection and selection.origin.source == "environment" and names_someone(variables):
        who = "MP_USERNAME" if "username" in variables else "MP_API_SECRET"
        yield f"{who} wins over the account that MP_ACCOUNT names; unset one of them"


def _select(
    account: str | None, environ: Mapping[str, str], file: ConfigFile, others: Layer
) -> Selection | None:
    if account is not None:
        return Selection(account, Origin("argument"))
    if environ.get("MP_ACCOUNT"):
        return Selection(environ["MP_ACCOUNT"], Origin("environment", "MP_ACCOUNT"))
    if file.default is not None:
        return Selection(file.default, Origin("file"), ousted=names_someone(others))
    return None


def _variables(environ: Mapping[str, str]) -> Layer:
    return {
        key: Given(environ[name], Origin("environment", name))
        for key, name in SETTINGS.items()
        if environ.get(name)
    }


def options_for(settings: Settings, plugin: str, known: set[str]) -> dict[str, Any]:
    """Return the options that file and environment give ``plugin``, of those it ``known``ly has."""
    given = given_to(plugin, known, settings.plugins)
    return {name: option.value for name, option in given.items()}


def parse_option(text: str) -> tuple[str, str]:
    """Return the parts of ``KEY=VALUE``. Raises PluginError."""
    key, mark, value = text.partition("=")
    if not mark or not key.strip():
        raise PluginError(f"write -o KEY=VALUE, not {redact_uri(text)!r}")
    return key.strip(), value


def _as_secret(value: str | Secret | KeyringEntry) -> Secret | KeyringEntry:
    return Secret(value) if isinstance(value, str) else value


def _looked_up(value: Any) -> Any:
    return value.read() if isinstance(value, KeyringEntry) else value
