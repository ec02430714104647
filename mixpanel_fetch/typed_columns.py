"""A table's properties as typed columns: the view made, the mapping kept, drift told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mixpanel_fetch.columns import Column, ColumnMapping, Drift
from mixpanel_fetch.errors import ConfigError, DriftError
from mixpanel_fetch.protocols import ColumnsEngine

OnDrift = Literal["warn", "fail", "evolve"]
NULL_TEXTS = ("<null>", "<undefined>", "undefined", "null")
"""What clients sent in the place of JSON null (facts of Mixpanel's API: "Answer and profile")."""


@dataclass(frozen=True)
class ColumnsReport:
    """What became of the columns: as they are now, and how the properties differ from them."""

    table: str
    view: str
    columns: tuple[Column, ...]
    drift: Drift
    evolved: bool


def keep_columns(
    engine: ColumnsEngine,
    table: str,
    path: str | Path | None = None,
    *,
    view: str | None = None,
    on_drift: OnDrift = "warn",
    null_texts: Sequence[str] = (),
) -> ColumnsReport:
    """Show the properties of ``table`` as columns of ``view`` (default: TABLE_columns).

    ``path`` is the schema file, made the first time (default: TABLE.columns.json). Where the
    properties differ from it later, ``warn`` leaves the columns as they are, ``fail`` raises
    DriftError with nothing changed, and ``evolve`` adds what is new and widens what changed.
    Raises ConfigError, TableNotFoundError.
    """
    if on_drift not in get_args(OnDrift):
        raise ConfigError(f"on_drift is one of warn, fail, evolve, not {on_drift!r}")
    path = Path(path or f"{table}.columns.json")
    view = view or f"{table}_columns"
    known = ColumnMapping.load(path)
    seen = engine.property_kinds(table, null_texts)
    drift = known.drift(seen) if known.columns else Drift()
    if drift and on_drift == "fail":
        raise DriftError(f"the properties of {table} drifted from {path}: {drift}")
    evolve = on_drift == "evolve" or not known.columns
    mapping = known.evolved(seen) if evolve else known
    engine.show_columns(table, view, mapping.columns, null_texts)
    if mapping != known or not path.exists():
        mapping.save(path)
    return ColumnsReport(table, view, mapping.columns, drift, bool(drift) and evolve)
