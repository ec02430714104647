"""Names of tables: quoted or refused."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from mixpanel_fetch.errors import ConfigError

METADATA_SCHEMA = "mixpanel_fetch"
STAGING_PREFIX = "_mixpanel_fetch_staging_"
_LONGEST = 255


def quoted(*parts: str) -> str:
    """Return the parts of a name as one SQL identifier."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def fold(name: str) -> str:
    """Return the form in which DuckDB compares names: only ASCII letters lose their case."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def shown(name: str) -> str:
    """Return a name for a message: never more than one line, never very long."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class TableName:
    """A table within the database, spelled as it is to be shown."""

    schema: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``table`` or ``schema.table``. Raises ConfigError for what cannot be a name.

        Everything else is taken literally, quotes included: no character needs escaping.
        """
        parts = text.split(".")
        if len(parts) > 2 or not all(part.strip() for part in parts):
            raise ConfigError(
                f"{shown(text)!r} is no table name; write table, or schema.table with one dot"
            )
        for part in parts:
            _check(part)
        schema, table = parts if len(parts) == 2 else ("main", parts[0])
        if fold(table).startswith(STAGING_PREFIX) or fold(schema) == METADATA_SCHEMA:
            raise ConfigError(
                f"{shown(text)!r} is kept for mixpanel-fetch itself; choose another name"
            )
        return cls(schema, table)

    def __str__(self) -> str:
        return self.table if fold(self.schema) == "main" else f"{self.schema}.{self.table}"

    def same(self, other: TableName) -> bool:
        """Whether DuckDB takes both for one table."""
        return (fold(self.schema), fold(self.table)) == (fold(other.schema), fold(other.table))

    def staging(self, run_id: str) -> TableName:
        """Return the staging table of a run: in the schema of its target.

        ``ALTER TABLE ... RENAME`` cannot move a table between schemas.
        """
        return TableName(self.schema, STAGING_PREFIX + run_id)


def _check(part: str) -> None:
    if len(part) > _LONGEST:
        raise ConfigError(f"the table name is {len(part)} characters long; {_LONGEST} is the most")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in part):
        raise ConfigError(f"the table name {shown(part)!r} has a control or broken character")
