"""What can be read of one database. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mixpanel_fetch.columns import Kind
from mixpanel_fetch.reading import TableInfo, TableSummary
from mixpanel_fetch_postgres import failures, inspection, listing, typed_view
from mixpanel_fetch_postgres.asking import PostgresAnswer, ask
from mixpanel_fetch_postgres.database import Database, connected
from mixpanel_fetch_postgres.options import Target


class Reader:
    """Reads ``target`` through connections of its own, one for each question."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._open: list[Database] = []

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables and views that the user may read, by name."""
        with self._visit() as db, failures.translated("cannot list the tables"):
            return listing.tables_of(db, self._target.schema)

    def query(self, sql: str) -> PostgresAnswer:
        """Begin to answer ``sql``; the connection closes after the last row."""
        db = self._enter()
        try:
            return ask(db, sql, lambda: self._leave(db))
        except BaseException:
            self._leave(db)
            raise

    def inspect(self, table: str, top: int) -> TableSummary:
        """Return what is in ``table``."""
        with self._visit() as db:
            with failures.translated(f"cannot look for {table}"):
                found = listing.find(db, self._target.schema, table)
            return inspection.inspect(db, found, top)

    def property_kinds(
        self, table: str, null_texts: Sequence[str]
    ) -> Mapping[str, Mapping[Kind, int]]:
        """Return how many values of each kind each property of ``table`` has."""
        with self._visit() as db, failures.translated(f"cannot look at table {table}"):
            found = listing.find(db, self._target.schema, table)
            return typed_view.kinds_of(db, found, null_texts)

    def interrupt(self) -> None:
        """End what is running soon. May be called from any thread."""
        for db in tuple(self._open):
            db.interrupt()

    def close(self) -> None:
        """Let go of every answer that was not read to its end."""
        for db in tuple(self._open):
            self._leave(db)

    def _enter(self) -> Database:
        db = connected(self._target, to_write=False)
        self._open.append(db)
        return db

    def _leave(self, db: Database) -> None:
        if db in self._open:
            self._open.remove(db)
            db.close()

    @contextmanager
    def _visit(self) -> Iterator[Database]:
        db = self._enter()
        try:
            yield db
        finally:
            self._leave(db)
