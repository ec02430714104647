"""Names of tables: quoted or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from mixpanel_fetch.errors import ConfigError

METADATA_SCHEMA = "mixpanel_fetch"
STAGING_PREFIX = "_mixpanel_fetch_staging_"
_LONGEST = 63  # bytes; PostgreSQL cuts what is longer, and then two names may become one


def quoted(*parts: str) -> str:
    """Return the parts of a name as one SQL identifier, case and all."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def shown(name: str) -> str:
    """Return a name for a message: never more than one line, never very long."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class TableName:
    """A table of one database. ``schema`` is empty until the database has been asked for it."""

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str, schema: str | None = None) -> TableName:
        """Read ``table`` or ``schema.table``; ``schema`` is for a table without one.

        Everything else is taken literally, quotes and case included: no character needs escaping.
        Raises ConfigError for what cannot be a name.
        """
        parts = text.split(".")
        if len(parts) > 2 or not all(part.strip() for part in parts):
            raise ConfigError(
                f"{shown(text)!r} is no table name; write table, or schema.table with one dot"
            )
        name = cls(*parts) if len(parts) == 2 else cls(schema or "", parts[0])
        for part in (name.schema, name.table):
            _check(part)
        if name.table.startswith(STAGING_PREFIX) or name.schema == METADATA_SCHEMA:
            raise ConfigError(
                f"{shown(text)!r} is kept for mixpanel-fetch itself; choose another name"
            )
        return name

    def __str__(self) -> str:
        return shown(f"{self.schema}.{self.table}" if self.schema else self.table)

    @property
    def sql(self) -> str:
        """The name as it stands in a statement."""
        return quoted(self.schema, self.table)

    @property
    def lock(self) -> int:
        """The key of the advisory lock that a run of this table holds."""
        return lock_key(f"{self.schema}.{self.table}")

    def within(self, schema: str) -> TableName:
        """Return the name with its schema."""
        return replace(self, schema=schema)

    def staging(self, run_id: str) -> TableName:
        """Return the staging table of a run: in the schema of its target.

        So the table that it becomes has the privileges that are the default there.
        """
        name = STAGING_PREFIX + run_id
        if len(name.encode()) > _LONGEST or "\0" in name:
            name = STAGING_PREFIX + sha256(run_id.encode()).hexdigest()[:32]
        return TableName(self.schema, name)


def lock_key(text: str) -> int:
    """Return the key of an advisory lock: 64 bits that others will hardly use."""
    digest = sha256(f"{METADATA_SCHEMA}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _check(part: str) -> None:
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{shown(part)!r} is no table name: it is not text") from None
    if size > _LONGEST:
        raise ConfigError(
            f"{shown(part)!r} is too long for PostgreSQL: {size} bytes, at most {_LONGEST}"
        )
    if "\0" in part:
        raise ConfigError(f"{shown(part)!r} is no table name: PostgreSQL takes no NUL character")
