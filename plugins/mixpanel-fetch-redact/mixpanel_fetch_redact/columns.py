"""The names that are columns of a table, and not only properties."""

from __future__ import annotations

from collections.abc import Sequence

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch_redact.paths import Path, folded

ID_NAMES = ("distinct_id", "$distinct_id")
LAST_SEEN = ("$last_seen",)


def names_column(path: Path, names: Sequence[str]) -> bool:
    """Whether ``path`` names one of these columns, in whatever case."""
    return len(path) == 1 and path[0] is not None and folded(path[0]) in names


def refuse_last_seen(transform: str, paths: Sequence[Path]) -> None:
    """Raise ConfigError if a path names the column of instants: it can hold no text."""
    if any(names_column(path, LAST_SEEN) for path in paths):
        raise ConfigError(
            f"{transform}: $last_seen is the column last_seen, which holds a time and no text;"
            " use drop:$last_seen"
        )


def refuse_id(transform: str, paths: Sequence[Path]) -> None:
    """Raise ConfigError if a path names the id: without ids that differ, rows would be lost."""
    if any(names_column(path, ID_NAMES) for path in paths):
        raise ConfigError(
            f"{transform}: rows are told apart by their distinct_id; use hash:distinct_id"
        )
