"""What a workspace does with the tables of its destination, without asking Mixpanel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.listings import RunList, TableList
from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.plan import Sink
from mixpanel_fetch.protocols import QueryableEngine, ResumableEngine, StorageEngine
from mixpanel_fetch.query_result import QueryResult
from mixpanel_fetch.reader import read, recall, show
from mixpanel_fetch.reading import TableSummary
from mixpanel_fetch.typed_columns import ColumnsReport, OnDrift, keep_columns


class StoredTables:
    """The part of a :class:`~mixpanel_fetch.workspace.Workspace` that is about them."""

    destination: str | StorageEngine
    _assembler: Assembler

    def sql(self, query: str) -> QueryResult:
        """Ask the destination ``query``, one statement that only reads, in its own language.

        Returns all rows, in memory. Raises ConfigError for a query or a destination that cannot
        be asked, StorageError where reading fails.
        """
        return read(self._sink(), lambda engine: QueryResult.of(engine.query(query)))

    def tables(self) -> TableList:
        """Return the destination's tables, by name. Raises as :meth:`sql`."""
        return read(self._sink(), lambda engine: TableList(engine.tables()))

    def inspect(self, table: str = "profiles", top: int = 5) -> TableSummary:
        """Return what is in ``table``: each property, with its ``top`` most frequent values.

        Raises TableNotFoundError, and as :meth:`sql`.
        """
        return read(self._sink(), lambda engine: engine.inspect(table, top=top))

    def runs(self) -> RunList:
        """Return the runs that the destination remembers, the newest first. Raises ConfigError."""
        return recall(self._sink(), lambda engine: RunList(engine.runs()))

    def keep_columns(
        self,
        table: str = "profiles",
        *,
        schema: str | Path | None = None,
        view: str | None = None,
        on_drift: OnDrift = "warn",
        null_texts: Sequence[str] = (),
    ) -> ColumnsReport:
        """Show the properties of ``table`` as typed columns of ``view`` (default: TABLE_columns).

        ``schema`` is the file that keeps names and types the same from run to run, made the first
        time (default: ``TABLE.columns.json`` in the current folder). Where the properties differ
        from it later, ``on_drift`` says what becomes of the columns: ``warn`` leaves them as they
        are, ``fail`` raises DriftError, ``evolve`` adds what is new and widens what changed; the
        report tells it. ``null_texts`` are texts taken for null, such as
        :data:`~mixpanel_fetch.typed_columns.NULL_TEXTS`. Raises TableNotFoundError, ConfigError,
        StorageError.
        """
        return show(
            self._sink(),
            lambda engine: keep_columns(
                engine, table, schema, view=view, on_drift=on_drift, null_texts=null_texts
            ),
        )

    def report(
        self,
        table: str = "profiles",
        path: str | Path | None = None,
        *,
        top: int = 10,
        force: bool = False,
    ) -> Path:
        """Write an HTML page about ``table`` to ``path``, and return where it is.

        The page needs no network; the ``top`` most frequent values of each property stand in it.
        A report at ``path`` (default: ``TABLE-report.html`` in the current folder) is replaced,
        any other file only with ``force``. Raises as :meth:`inspect`, and ConfigError for a file
        that cannot be written.
        """
        from mixpanel_fetch.report import render
        from mixpanel_fetch.report.file import ReportFile, default_name

        file = ReportFile(default_name(table) if path is None else path, force=force)
        sink = self._sink()

        def look(engine: QueryableEngine) -> tuple[TableSummary, Sequence[RunRecord]]:
            runs = engine.runs() if isinstance(engine, ResumableEngine) else ()
            return engine.inspect(table, top=top), runs

        summary, runs = read(sink, look)
        made_at = datetime.now(timezone.utc)
        file.write(render(summary, runs, destination=sink.label, made_at=made_at))
        return file.path

    def _sink(self) -> Sink:
        return self._assembler.sink(self.destination)
