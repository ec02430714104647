"""Lists of what a project or a destination holds, as a notebook shows them."""

from __future__ import annotations

from mixpanel_fetch.cohorts import Cohort
from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.notebook import html_table
from mixpanel_fetch.reading import TableInfo


class TableList(list[TableInfo]):
    """A list of tables."""

    def _repr_html_(self) -> str:
        rows = [(one.name, one.rows, ", ".join(name for name, _ in one.columns)) for one in self]
        return html_table(("table", "rows", "columns"), rows, shown=len(rows))


class CohortList(list[Cohort]):
    """A list of saved cohorts."""

    def _repr_html_(self) -> str:
        columns = ("cohort", "name", "members", "description")
        rows = [(str(one.id), one.name, one.count, one.description) for one in self]
        return html_table(columns, rows, shown=len(rows))


class RunList(list[RunRecord]):
    """A list of runs, the newest first."""

    def _repr_html_(self) -> str:
        columns = ("started (UTC)", "run", "table", "mode", "status", "pages", "missing", "rows")
        return html_table(columns, [_row(record) for record in self], shown=len(self))


def _row(record: RunRecord) -> tuple[object, ...]:
    run = record.info
    missing = len(record.missing_pages) if record.status != "aborted" else None
    return (
        f"{run.started_at:%Y-%m-%d %H:%M:%S}",
        run.run_id,
        run.table,
        run.mode,
        record.status,
        run.total_pages,
        missing,
        record.total_rows,
    )
