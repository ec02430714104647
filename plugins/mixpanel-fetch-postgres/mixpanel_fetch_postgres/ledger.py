"""What the database remembers: each run, and each page that landed.

Both tables live in a schema of their own, ``mixpanel_fetch``. A page's row is written in the
transaction of its rows, so that the two agree after any crash. No secret comes here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from psycopg import errors

from mixpanel_fetch.model import LoadReport, ProfileQuery, RunInfo, RunRecord, RunStatus
from mixpanel_fetch_postgres.catalog import has_schema
from mixpanel_fetch_postgres.database import Database
from mixpanel_fetch_postgres.names import METADATA_SCHEMA, TableName, lock_key

INTERRUPTED: frozenset[RunStatus] = frozenset({"running", "suspended", "partial"})

_KEY = lock_key("ledger")
_RUN_COLUMNS = (
    "run_id, schema_name, table_name, target, mode, status, query, fingerprint, session_id, total,"
    " page_size, asked_page_size, total_pages, transforms, destination, started_at, finished_at,"
    " total_rows, inserted, updated, duplicate_rows, repaired_values"
)
# Texts that hold JSON: jsonb would refuse what a filter may contain.
_CREATE = (
    """CREATE TABLE IF NOT EXISTS mixpanel_fetch.runs (
    run_id text PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY,
    schema_name text NOT NULL, table_name text NOT NULL, target text NOT NULL,
    mode text NOT NULL, status text NOT NULL, query text NOT NULL, fingerprint text NOT NULL,
    session_id text, total bigint, page_size bigint, asked_page_size bigint, total_pages bigint,
    transforms text NOT NULL, destination text NOT NULL,
    started_at timestamp with time zone NOT NULL, finished_at timestamp with time zone,
    total_rows bigint, inserted bigint, updated bigint, duplicate_rows bigint,
    repaired_values bigint, mixpanel_fetch_version text)""",
    """CREATE TABLE IF NOT EXISTS mixpanel_fetch.pages (
    run_id text, page_index bigint, "rows" bigint NOT NULL, duplicate_rows bigint NOT NULL,
    repaired_values bigint NOT NULL, published boolean NOT NULL DEFAULT false,
    note text NOT NULL DEFAULT '',
    landed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, page_index))""",
)
_DROP = (
    "DROP TABLE IF EXISTS mixpanel_fetch.sync",
    "DROP TABLE mixpanel_fetch.pages",
    "DROP TABLE mixpanel_fetch.runs",
    "DROP SCHEMA mixpanel_fetch",
)


@dataclass(frozen=True)
class PageEntry:
    """One page in the ledger. ``published``: its rows are in the table, not in staging."""

    index: int
    rows: int
    duplicate_rows: int
    repaired_values: int
    published: bool = False
    note: str = ""


@dataclass(frozen=True)
class RunEntry:
    """A run as stored: where it lands, its pages, and what was published of it so far."""

    info: RunInfo
    name: TableName
    status: RunStatus
    finished_at: datetime | None
    report: LoadReport
    pages: tuple[PageEntry, ...]

    @property
    def published(self) -> bool:
        """Whether some of its pages are in the table already."""
        return any(page.published for page in self.pages)

    @property
    def staged_rows(self) -> int:
        """The rows that its staging table must hold."""
        return sum(page.rows - page.duplicate_rows for page in self.pages if not page.published)

    def record(self) -> RunRecord:
        """Return what :meth:`ResumableEngine.runs` tells of it."""
        landed = frozenset(page.index for page in self.pages)
        if self.status == "complete":
            # A complete run needs no ledger any more: every page is there.
            landed = frozenset(range(self.info.total_pages))
        return RunRecord(
            info=self.info,
            status=self.status,
            landed_pages=landed,
            total_rows=self.report.total_rows,
            finished_at=self.finished_at,
            notes={page.index: page.note for page in self.pages if page.note},
        )


class Ledger:
    """The two tables of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def exists(self) -> bool:
        """Whether this database has our tables."""
        found = self._db.value(
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s"
            " AND tablename IN ('runs', 'pages')",
            [METADATA_SCHEMA],
        )
        return bool(found == 2)

    def alone(self) -> None:
        """Wait until no other run is making or dropping these tables. Belongs in a transaction."""
        self._db.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [_KEY])

    def create(self) -> None:
        """Make the schema and the tables where they are missing."""
        if self.exists():
            return
        if not has_schema(self._db, METADATA_SCHEMA):
            # Not IF NOT EXISTS: that asks for the right to make one even where there is one.
            self._db.execute("CREATE SCHEMA mixpanel_fetch")
        for statement in _CREATE:
            self._db.execute(statement)

    def drop(self) -> None:
        """Take everything away again."""
        for statement in _DROP:
            self._db.execute(statement)

    def entries(self) -> list[RunEntry]:
        """Return every run, the newest first."""
        if not self.exists():
            return []
        try:
            return self._entries()
        except errors.UndefinedTable:  # the run that had made them has just taken them back
            return []

    def find(self, run_id: str) -> RunEntry | None:
        """Return one run, or None."""
        return next((entry for entry in self.entries() if entry.info.run_id == run_id), None)

    def start(self, run: RunInfo, name: TableName, earlier: RunEntry | None) -> None:
        """Note that a run begins, or goes on: then with the counts of what was published."""
        counts = earlier.report if earlier is not None else LoadReport()
        self._db.execute("DELETE FROM mixpanel_fetch.runs WHERE run_id = %s", [run.run_id])
        self._db.execute(
            f"INSERT INTO mixpanel_fetch.runs ({_RUN_COLUMNS}, mixpanel_fetch_version)"
            f" VALUES ({', '.join(['%s'] * 23)})",
            [
                *(run.run_id, name.schema, name.table, run.table, run.mode, "running"),
                *(json.dumps(run.query.document()), json.dumps(dict(run.fingerprint))),
                *(run.session_id, run.total, run.page_size, run.asked_page_size, run.total_pages),
                *(json.dumps(run.transforms), run.destination, run.started_at, None),
                *(counts.total_rows, counts.inserted, counts.updated),
                *(counts.duplicate_rows, counts.repaired_values, version("mixpanel-fetch")),
            ],
        )

    def land(self, run_id: str, pages: Sequence[PageEntry]) -> None:
        """Note pages, in the transaction of their rows."""
        self._db.execute(
            "INSERT INTO mixpanel_fetch.pages"
            ' (run_id, page_index, "rows", duplicate_rows, repaired_values, note)'
            f" VALUES {', '.join(['(%s, %s, %s, %s, %s, %s)'] * len(pages))}",
            [
                value
                for page in pages
                for value in (
                    *(run_id, page.index, page.rows, page.duplicate_rows),
                    *(page.repaired_values, page.note),
                )
            ],
        )

    def give_up(self, run_id: str, page_index: int, rows: int) -> None:
        """Note that ``rows`` of a page were replaced by rows of the same ids."""
        self._db.execute(
            "UPDATE mixpanel_fetch.pages SET duplicate_rows = duplicate_rows + %s"
            " WHERE run_id = %s AND page_index = %s",
            [rows, run_id, page_index],
        )

    def duplicate_rows(self, run_id: str) -> int:
        """Return how many rows of a run gave way to others of their id."""
        return int(
            self._db.value(
                "SELECT coalesce(sum(duplicate_rows), 0) FROM mixpanel_fetch.pages"
                " WHERE run_id = %s",
                [run_id],
            )
        )

    def staged_rows(self, run_id: str) -> int:
        """Return how many rows of a run are staged."""
        return int(
            self._db.value(
                'SELECT coalesce(sum("rows" - duplicate_rows), 0) FROM mixpanel_fetch.pages'
                " WHERE run_id = %s AND NOT published",
                [run_id],
            )
        )

    def mark(self, run_id: str, status: RunStatus) -> None:
        """Note how a run stands."""
        self._db.execute(
            "UPDATE mixpanel_fetch.runs SET status = %s, finished_at = %s WHERE run_id = %s",
            [status, None if status == "running" else datetime.now(timezone.utc), run_id],
        )

    def forget_pages(self, run_id: str, *, but_notes: bool = False) -> None:
        """Drop the pages of a run, except those with a note where these are to stay."""
        which = " AND note = ''" if but_notes else ""
        self._db.execute(f"DELETE FROM mixpanel_fetch.pages WHERE run_id = %s{which}", [run_id])

    def finish(self, run_id: str, status: RunStatus, report: LoadReport) -> None:
        """Note what was published. Of a run that is complete, only pages with a note stay."""
        self._db.execute(
            "UPDATE mixpanel_fetch.runs SET total_rows = %s, inserted = %s, updated = %s,"
            " duplicate_rows = %s, repaired_values = %s WHERE run_id = %s",
            [
                *(report.total_rows, report.inserted, report.updated),
                *(report.duplicate_rows, report.repaired_values, run_id),
            ],
        )
        self.mark(run_id, status)
        if status == "partial":
            self._db.execute(
                "UPDATE mixpanel_fetch.pages SET published = true WHERE run_id = %s", [run_id]
            )
        else:
            self.forget_pages(run_id, but_notes=True)

    def _entries(self) -> list[RunEntry]:
        pages: dict[str, list[PageEntry]] = {}
        for run_id, *page in self._db.execute(
            'SELECT run_id, page_index, "rows", duplicate_rows, repaired_values, published, note'
            " FROM mixpanel_fetch.pages ORDER BY page_index"
        ):
            pages.setdefault(run_id, []).append(PageEntry(*page))
        rows = self._db.execute(
            f"SELECT {_RUN_COLUMNS} FROM mixpanel_fetch.runs ORDER BY started_at DESC, number DESC"
        )
        return [_entry(row, pages.get(row[0], ())) for row in rows]


def _entry(row: Sequence[Any], pages: Sequence[PageEntry]) -> RunEntry:
    (run_id, schema, table, target, mode, status, query, fingerprint, session_id, total) = row[:10]
    (page_size, asked_page_size, total_pages, transforms, destination, started_at) = row[10:16]
    finished_at, total_rows, inserted, updated, duplicates, repaired = row[16:]
    wanted = json.loads(query)
    if wanted.get("output_properties") is not None:
        wanted["output_properties"] = tuple(wanted["output_properties"])
    info = RunInfo(
        run_id=run_id,
        table=target,
        mode=mode,
        query=ProfileQuery(**wanted),
        session_id=session_id,
        total=total,
        page_size=page_size,
        total_pages=total_pages,
        transforms=tuple(json.loads(transforms)),
        fingerprint=json.loads(fingerprint),
        started_at=started_at.astimezone(timezone.utc),
        destination=destination,
        asked_page_size=asked_page_size,
    )
    return RunEntry(
        info=info,
        name=TableName(schema, table),
        status=status,
        finished_at=None if finished_at is None else finished_at.astimezone(timezone.utc),
        report=LoadReport(total_rows, inserted, updated, duplicates or 0, repaired or 0),
        pages=tuple(pages),
    )
