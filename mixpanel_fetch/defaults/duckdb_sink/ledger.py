"""What the database remembers: each run, and each page that landed.

Both tables live in a schema of their own, ``mixpanel_fetch``. A page's row is written in the
transaction of its rows, so that the two agree after any crash. No secret comes here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import duckdb

from mixpanel_fetch._version import __version__
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.names import METADATA_SCHEMA, TableName, quoted
from mixpanel_fetch.model import LoadReport, ProfileQuery, RunInfo, RunRecord, RunStatus

INTERRUPTED: frozenset[RunStatus] = frozenset({"running", "suspended", "partial"})

_RUN_COLUMNS = (
    "run_id, schema_name, table_name, mode, status, query, fingerprint, session_id, total,"
    " page_size, total_pages, transforms, destination, started_at, finished_at,"
    " total_rows, inserted, updated, duplicate_rows, repaired_values, asked_page_size"
)
_RUNS = """
CREATE TABLE IF NOT EXISTS {} (
    run_id VARCHAR, schema_name VARCHAR, table_name VARCHAR, mode VARCHAR,
    status VARCHAR, query JSON, fingerprint JSON, session_id VARCHAR, total BIGINT,
    page_size BIGINT, total_pages BIGINT, transforms VARCHAR[], destination VARCHAR,
    started_at TIMESTAMP, finished_at TIMESTAMP, total_rows BIGINT, inserted BIGINT,
    updated BIGINT, duplicate_rows BIGINT, repaired_values BIGINT, asked_page_size BIGINT,
    mixpanel_fetch_version VARCHAR, duckdb_version VARCHAR
)"""
_PAGES = """
CREATE TABLE IF NOT EXISTS {} (
    run_id VARCHAR, page_index BIGINT, "rows" BIGINT, duplicate_rows BIGINT,
    repaired_values BIGINT, published BOOLEAN, note VARCHAR, landed_at TIMESTAMP
)"""


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
    """The two tables of one open database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._schema = quoted(db.catalog, METADATA_SCHEMA)
        self._runs = f"{self._schema}.runs"
        self._pages = f"{self._schema}.pages"

    def exists(self) -> bool:
        """Whether this database has our tables."""
        found = self._db.value(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = $1 AND schema_name = $2"
            " AND table_name IN ('runs', 'pages')",
            [self._db.catalog, METADATA_SCHEMA],
        )
        return bool(found == 2)

    def create(self) -> None:
        """Make the schema and the tables where they are missing."""
        self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        self._db.execute(_RUNS.format(self._runs))
        self._db.execute(_PAGES.format(self._pages))

    def drop(self) -> None:
        """Take everything away again."""
        for table in (self._pages, self._runs):
            self._db.execute(f"DROP TABLE {table}")
        self._db.execute(f"DROP SCHEMA {self._schema}")

    def entries(self) -> list[RunEntry]:
        """Return every run, the newest first."""
        if not self.exists():
            return []
        pages: dict[str, list[PageEntry]] = {}
        for run_id, *page in self._db.execute(
            'SELECT run_id, page_index, "rows", duplicate_rows, repaired_values, published, note'
            f" FROM {self._pages} ORDER BY page_index"
        ):
            pages.setdefault(run_id, []).append(PageEntry(*page))
        rows = self._db.execute(
            f"SELECT {_RUN_COLUMNS} FROM {self._runs} ORDER BY started_at DESC, rowid DESC"
        )
        return [_entry(row, pages.get(row[0], ())) for row in rows]

    def find(self, run_id: str) -> RunEntry | None:
        """Return one run, or None."""
        return next((entry for entry in self.entries() if entry.info.run_id == run_id), None)

    def start(self, run: RunInfo, name: TableName, earlier: RunEntry | None) -> None:
        """Note that a run begins, or goes on: then with the counts of what was published."""
        counts = earlier.report if earlier is not None else LoadReport()
        self._db.execute(f"DELETE FROM {self._runs} WHERE run_id = $1", [run.run_id])
        self._db.execute(
            f"INSERT INTO {self._runs} ({_RUN_COLUMNS}, mixpanel_fetch_version, duckdb_version)"
            f" VALUES ({', '.join(f'${n}' for n in range(1, 24))})",
            [
                *(run.run_id, name.schema, name.table, run.mode, "running"),
                *(json.dumps(run.query.document()), json.dumps(dict(run.fingerprint))),
                *(run.session_id, run.total, run.page_size, run.total_pages),
                *(list(run.transforms), run.destination, _naive(run.started_at)),
                *(None, counts.total_rows, counts.inserted, counts.updated),
                *(counts.duplicate_rows, counts.repaired_values, run.asked_page_size),
                *(__version__, duckdb.__version__),
            ],
        )

    def land(self, run_id: str, pages: Sequence[PageEntry]) -> None:
        """Note pages, in the transaction of their rows."""
        self._db.execute(
            f"INSERT INTO {self._pages} VALUES"
            f" {', '.join(['(?, ?, ?, ?, ?, false, ?, ?)'] * len(pages))}",
            [
                value
                for page in pages
                for value in (
                    *(run_id, page.index, page.rows, page.duplicate_rows),
                    *(page.repaired_values, page.note, _now()),
                )
            ],
        )

    def give_up(self, run_id: str, page_index: int, rows: int) -> None:
        """Note that ``rows`` of a page were replaced by rows of the same ids."""
        self._db.execute(
            f"UPDATE {self._pages} SET duplicate_rows = duplicate_rows + $3"
            " WHERE run_id = $1 AND page_index = $2",
            [run_id, page_index, rows],
        )

    def duplicate_rows(self, run_id: str) -> int:
        """Return how many rows of a run gave way to others of their id."""
        return int(
            self._db.value(
                f"SELECT coalesce(sum(duplicate_rows), 0) FROM {self._pages} WHERE run_id = $1",
                [run_id],
            )
        )

    def mark(self, run_id: str, status: RunStatus) -> None:
        """Note how a run stands."""
        self._db.execute(
            f"UPDATE {self._runs} SET status = $2, finished_at = $3 WHERE run_id = $1",
            [run_id, status, None if status == "running" else _now()],
        )

    def forget_pages(self, run_id: str, *, but_notes: bool = False) -> None:
        """Drop the pages of a run, except those with a note where these are to stay."""
        which = " AND note = ''" if but_notes else ""
        self._db.execute(f"DELETE FROM {self._pages} WHERE run_id = $1{which}", [run_id])

    def finish(self, run_id: str, status: RunStatus, report: LoadReport) -> None:
        """Note what was published. Of a run that is complete, only pages with a note stay."""
        self._db.execute(
            f"UPDATE {self._runs} SET total_rows = $2, inserted = $3, updated = $4,"
            " duplicate_rows = $5, repaired_values = $6 WHERE run_id = $1",
            [
                *(run_id, report.total_rows, report.inserted, report.updated),
                *(report.duplicate_rows, report.repaired_values),
            ],
        )
        self.mark(run_id, status)
        if status == "partial":
            self._db.execute(
                f"UPDATE {self._pages} SET published = true WHERE run_id = $1", [run_id]
            )
        else:
            self.forget_pages(run_id, but_notes=True)


def _entry(row: Sequence[Any], pages: Sequence[PageEntry]) -> RunEntry:
    (run_id, schema, table, mode, status, query, fingerprint, session_id, total) = row[:9]
    (page_size, total_pages, transforms, destination, started_at, finished_at) = row[9:15]
    total_rows, inserted, updated, duplicates, repaired, asked_page_size = row[15:]
    name = TableName(schema, table)
    wanted = json.loads(query)
    if wanted.get("output_properties") is not None:
        wanted["output_properties"] = tuple(wanted["output_properties"])
    info = RunInfo(
        run_id=run_id,
        table=str(name),
        mode=mode,
        query=ProfileQuery(**wanted),
        session_id=session_id,
        total=total,
        page_size=page_size,
        total_pages=total_pages,
        transforms=tuple(transforms),
        fingerprint=json.loads(fingerprint),
        started_at=started_at.replace(tzinfo=timezone.utc),
        destination=destination,
        asked_page_size=asked_page_size,
    )
    return RunEntry(
        info=info,
        name=name,
        status=status,
        finished_at=None if finished_at is None else finished_at.replace(tzinfo=timezone.utc),
        report=LoadReport(total_rows, inserted, updated, duplicates or 0, repaired or 0),
        pages=tuple(pages),
    )


def _naive(instant: datetime) -> datetime:
    # TIMESTAMP, not TIMESTAMPTZ: reading the latter back would need pytz.
    return instant.astimezone(timezone.utc).replace(tzinfo=None)


def _now() -> datetime:
    return _naive(datetime.now(timezone.utc))
