"""Which property stands in which column, kept in a file, and what differs from it later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from mixpanel_fetch.columns.kinds import ColumnType, Kind, in_conflict, type_for
from mixpanel_fetch.columns.names import column_name
from mixpanel_fetch.errors import ConfigError

_VERSION = 1


@dataclass(frozen=True)
class Column:
    """A column: the property that it shows, its name, its type.

    ``conflict``: only JSON holds the values, though they are not all objects or lists. ``gone``: no
    profile has the property any more, which is known.
    """

    property: str
    name: str
    type: ColumnType
    conflict: bool = False
    gone: bool = False


@dataclass(frozen=True)
class Drift:
    """How the properties of a table differ from a mapping: their names, in order.

    ``changed``: properties whose values the column's type no longer holds.
    """

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def __str__(self) -> str:
        parts = (("new", self.new), ("gone", self.gone), ("of another type", self.changed))
        return "; ".join(
            f"{len(names):,} {word}: {_listed(names)}" for word, names in parts if names
        )


@dataclass(frozen=True)
class ColumnMapping:
    """The columns of one table, by the property's name."""

    columns: tuple[Column, ...] = ()

    def drift(self, seen: Mapping[str, Mapping[Kind, int]]) -> Drift:
        """Return how the properties ``seen`` differ from this mapping."""
        known = {column.property: column for column in self.columns}
        return Drift(
            new=tuple(sorted(seen.keys() - known.keys())),
            gone=tuple(sorted(name for name in known.keys() - seen.keys() if not known[name].gone)),
            changed=tuple(
                sorted(
                    name
                    for name in seen.keys() & known.keys()
                    if _widened(known[name].type, seen[name]) != known[name].type
                )
            ),
        )

    def evolved(self, seen: Mapping[str, Mapping[Kind, int]]) -> ColumnMapping:
        """Return the mapping that holds what is ``seen``, too.

        A column keeps its name for ever, and its type only becomes wider: what was once asked of it
        can be asked still. Properties that are gone keep their columns.
        """
        columns = {
            column.property: replace(column, gone=column.property not in seen)
            for column in self.columns
        }
        taken = {column.name for column in self.columns}
        # A property that is called like its column goes first, so that it is the one to be.
        for name in sorted(seen, key=lambda each: (column_name(each) != each, each)):
            kinds, known = seen[name], columns.get(name)
            if known is None:
                column = Column(name, column_name(name, taken), type_for(kinds), in_conflict(kinds))
                taken.add(column.name)
            else:
                conflict = known.conflict or in_conflict({**_as_seen(known.type), **kinds})
                column = Column(name, known.name, _widened(known.type, kinds), conflict)
            columns[name] = column
        return ColumnMapping(tuple(columns[name] for name in sorted(columns)))

    def save(self, path: Path) -> None:
        """Write the mapping as JSON, whole or not at all. Raises ConfigError."""
        document = {"version": _VERSION, "columns": [vars(column) for column in self.columns]}
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> ColumnMapping:
        """Read a mapping; an empty one where there is no file. Raises ConfigError."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the schema file {path}: {error}") from None
        try:
            document = json.loads(text)
            columns = tuple(_column(**each) for each in document["columns"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConfigError(f"{path} is no schema file of mp columns; move it away") from None
        if document.get("version") != _VERSION:
            raise ConfigError(f"{path} is of another version of mixpanel-fetch; move it away")
        return cls(columns)


def _column(
    property: str,  # noqa: A002
    name: str,
    type: Any,  # noqa: A002
    **flags: bool,
) -> Column:
    texts = (property, name)
    if type not in get_args(ColumnType) or not all(isinstance(text, str) for text in texts):
        raise ValueError(type)
    return Column(property, name, type, **flags)


def _widened(held: ColumnType, seen: Mapping[Kind, int]) -> ColumnType:
    """Return the type that holds what a column has held, and what is seen."""
    return "json" if held == "json" else type_for({**seen, **_as_seen(held)})


def _as_seen(held: ColumnType) -> dict[Kind, int]:
    return {held: 1}


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
