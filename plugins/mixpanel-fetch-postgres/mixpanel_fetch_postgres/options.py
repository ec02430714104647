"""What a user may set, and the connection that it comes to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from marshmallow import INCLUDE, Schema, fields
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.secret import Secret

_SECRETS = ("password", "sslpassword")
_DEFAULTS = {
    "connect_timeout": "10",
    # A host that went away without a word is noticed within a minute or so, not two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "fallback_application_name": "mixpanel-fetch",
}


class PostgresOptions(Schema):
    """The options of ``postgresql://``: ``schema``, and whatever libpq knows.

    The fields beside ``schema`` are those of libpq that are of use in a configuration file or in
    the environment; the others come through as they are.
    """

    class Meta:  # noqa: D106 - marshmallow's
        unknown = INCLUDE

    schema = fields.String()
    dbname = fields.String()
    host = fields.String()
    passfile = fields.String()
    password = fields.String()
    port = fields.String()
    service = fields.String()
    sslmode = fields.String()
    sslrootcert = fields.String()
    user = fields.String()


@dataclass(frozen=True)
class Target:
    """Where to connect: the connection string, its secrets, and a label that shows none."""

    conninfo: Secret
    secrets: tuple[Secret, ...]
    label: str
    schema: str | None

    @classmethod
    def of(cls, location: str, options: Mapping[str, object]) -> Target:
        """Read a location and options. Raises ConfigError, which quotes neither."""
        given = {name: str(value) for name, value in options.items()}
        schema = given.pop("schema", None)
        if schema is not None and not schema.strip():
            raise ConfigError("the option schema is empty; name a schema, or leave it out")
        _refuse_unknown(given)
        try:
            parameters = {
                name: str(value)
                for name, value in conninfo_to_dict(f"postgresql://{location}").items()
                if value is not None
            }
            _refuse_unknown(parameters)
            _refuse_misread(parameters)
            parameters = _DEFAULTS | parameters | given
            # Names and values come back as UTF-8 whatever else was asked for.
            conninfo = make_conninfo(**{**parameters, "client_encoding": "UTF8"})
        except (psycopg.Error, UnicodeError):
            # libpq's own words quote the location, password and all.
            raise _unreadable() from None
        _require_database(parameters)
        return cls(
            Secret(conninfo),
            tuple(Secret(parameters[name]) for name in _SECRETS if parameters.get(name)),
            _label(parameters),
            schema,
        )


def _refuse_unknown(parameters: Mapping[str, str]) -> None:
    known = {one.keyword.decode() for one in psycopg.pq.Conninfo.get_defaults()}
    for name in parameters:
        if name not in known:
            raise ConfigError(
                f"the postgresql sink has no option {name!r}, and neither has libpq; it has schema"
            )


def _refuse_misread(parameters: Mapping[str, str]) -> None:
    # A password with an "@" or "/" that is not encoded: what libpq takes for the host, the port
    # or the database is a piece of it, which every message about them would show.
    if "@" in parameters.get("host", "") + parameters.get("dbname", ""):
        raise _unreadable()
    if not all(port == "" or port.isdigit() for port in parameters.get("port", "").split(",")):
        raise _unreadable()


def _unreadable() -> ConfigError:
    return ConfigError(
        "the location is not one that libpq can read; write"
        " postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and percent-encode what is special"
    )


def _require_database(parameters: Mapping[str, str]) -> None:
    # libpq would take the user's name. And the host takes one slash off postgresql:///db, so that
    # a database would pass for a host.
    named = any(parameters.get(name) for name in ("dbname", "service"))
    if not named and not (os.environ.get("PGDATABASE") or os.environ.get("PGSERVICE")):
        raise ConfigError(
            "no database is named; write postgresql://HOST/DATABASE,"
            " or postgresql:////DATABASE for a server on a local socket"
        )


def _label(parameters: Mapping[str, str]) -> str:
    host = parameters.get("host", "")
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"postgresql://{host}{port}/{parameters.get('dbname', '')}"
