"""QueryResult: what a query found, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mixpanel_fetch import arrow
from mixpanel_fetch.notebook import html_table
from mixpanel_fetch.protocols import Answer


@dataclass(frozen=True, repr=False)
class QueryResult:
    """Rows as tuples, with the names and types of their columns; the types in the store's words.

    Has a length, and iterates over its rows. A library that reads Arrow's PyCapsule interface
    (pyarrow, polars, duckdb, ...) takes it as it is.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    @classmethod
    def of(cls, answer: Answer) -> QueryResult:
        """Return all of ``answer``. Raises what reading it raises."""
        return cls(tuple(answer.columns), tuple(answer.types), [tuple(row) for row in answer])

    def __repr__(self) -> str:
        columns = ", ".join(map(" ".join, zip(self.columns, self.types, strict=False)))
        return f"<QueryResult: {len(self):,} rows of {columns}>"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as a dict. Of columns with one name, the last counts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table``, or without that an ``arro3.core.Table``.

        Numbers, booleans, bytes, dates and instants keep their kind; all else is text, lists and
        structs as JSON. Raises ConfigError without both libraries.
        """
        return arrow.table(self._arrow_columns())

    def df(self) -> Any:
        """Return a ``pandas.DataFrame``. Raises ConfigError without pandas."""
        return arrow.frame(self.rows, self.columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export :meth:`to_arrow` through the Arrow C stream interface. Raises ImportError."""
        return arrow.stream(self._arrow_columns()).__arrow_c_stream__(requested_schema)

    def _arrow_columns(self) -> list[arrow.Column]:
        values = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.columns)
        return [arrow.Column.of(*pair) for pair in zip(self.columns, values, strict=True)]

    def _repr_html_(self) -> str:
        return html_table(self.columns, self.rows, caption=f"{len(self.rows):,} rows")
