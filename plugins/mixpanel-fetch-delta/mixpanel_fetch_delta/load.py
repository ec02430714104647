"""One run's way into one table: pages into staging, then published whole, kept, or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from deltalake import CommitProperties

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import FetchInterruptedError, StorageError
from mixpanel_fetch.model import LoadReport, Mode
from mixpanel_fetch.secret import Secret
from mixpanel_fetch_delta import failures
from mixpanel_fetch_delta.bench import Bench
from mixpanel_fetch_delta.lake import Lake
from mixpanel_fetch_delta.landed import look, notes
from mixpanel_fetch_delta.ledger import Ledger
from mixpanel_fetch_delta.options import Habits
from mixpanel_fetch_delta.publish import Publication, Published
from mixpanel_fetch_delta.record import Intent, Record
from mixpanel_fetch_delta.rows import Rows
from mixpanel_fetch_delta.staging import Staging
from mixpanel_fetch_delta.table import Table, Version, properties_of
from mixpanel_fetch_delta.upkeep import Upkeep


class DeltaLoad:
    """A :class:`~mixpanel_fetch.protocols.TableLoad` into a Delta table.

    Every method is for the run's own thread. ``record``: the run as the ledger has it, with what
    was published of it before.
    """

    def __init__(
        self, lake: Lake, record: Record, bench: Bench, habits: Habits, secrets: Sequence[Secret]
    ) -> None:
        self._lake, self._bench, self._habits, self._secrets = lake, bench, habits, secrets
        self._ledger = Ledger(lake)
        self._record = record
        self._before = frozenset(page.index for page in record.published)
        self._table = Table(lake, record.info.table)
        self._staging = Staging(lake, record.places, bench, habits.file_size)

    def landed_pages(self) -> frozenset[int]:
        """Return the pages in staging, and those that were published before."""
        return self._before.union(self._staging.pages)

    def write(self, page_index: int, batch: Batch) -> int:
        """Land one page, and return its rows. It is durable then, for a resume from anywhere.

        Raises StorageError; the page has not landed then. FetchInterruptedError after an
        interrupt.
        """
        return self.write_pages([(page_index, batch)])[0]

    def write_pages(self, pages: Sequence[tuple[int, Batch]]) -> list[int]:
        """Land several pages, a few in one file; return the rows of each. Raises as :meth:`write`.

        Then none of them has landed, or some, which ``landed_pages`` tells.
        """
        landing = [Rows.of(index, batch) for index, batch in pages]
        for index, _ in pages:
            if index in self._staging.pages or index in self._before:
                raise StorageError(f"page {index} has landed already")
        names = ", ".join(str(index) for index, _ in pages)
        with self._doing(f"cannot store page{'s' * (len(pages) > 1)} {names}"):
            self._staging.land(landing)
        return [page.received for page in landing]

    def count_duplicates(self) -> int:
        """Return how many rows gave way to another of their id. Raises StorageError."""
        with self._doing(f"cannot count what came twice for {self._table.label}"):
            return self._duplicates()

    def commit(self) -> LoadReport:
        """Publish in one transaction: complete if every page landed, else partial.

        Raises StorageError, or ConfigError and kin if the table changed meanwhile so that it can
        no longer take the rows. Nothing is changed then, and ``suspend`` or ``abort`` may follow.
        """
        mode: Mode = "merge" if self._record.published else self._record.info.mode
        with self._doing(f"cannot publish table {self._table.label}"):
            self._require_own()
            Publication(
                self._lake,
                self._table,
                self._bench,
                self._staging,
                self._habits,
                mode,
                self._announce,
                self._is_made,
            ).through()
            self._require_own()
            self._finish()
        Upkeep(self._lake, self._table, self._bench, self._habits).done()
        return self._record.report

    def suspend(self) -> None:
        """Keep what has landed for a resume; the table stays as it was."""
        # A run that still says "running" resumes just as well.
        with suppress(StorageError, FetchInterruptedError), self._doing("cannot suspend"):
            if self._is_own():
                self._record = self._record.ended("suspended")
                self._ledger.keep(self._record)

    def abort(self) -> None:
        """Drop what has landed. Of a first run, nothing is left. Raises StorageError."""
        with self._doing(f"cannot take back what was staged for {self._table.label}"):
            found = self._found()
            if found is not None and found.owner != self._record.owner:
                return  # another process goes on with what has landed
            self._staging.drop()
            if found is None:
                return
            if self._ledger.is_only(self._record):
                self._ledger.forget(self._record)
            else:
                self._ledger.keep(self._record.ended("aborted"))

    def interrupt(self) -> None:
        """End what is running soon. May be called from any thread."""
        self._bench.interrupt()

    def _announce(self, published: Published) -> CommitProperties:
        """Note what the commit will have done, so that after a crash it is known."""
        pages = (*self._record.published, *self._staging.pages.values())
        landed = {page.index for page in pages}
        intent = Intent(
            number=self._record.commits + 1,
            report=self._report(published),
            whole=all(index in landed for index in range(self._record.info.total_pages)),
            published=pages,
        )
        self._record = replace(self._record, intent=intent)
        self._ledger.keep(self._record)
        info = self._record.info
        told = {
            "runId": info.run_id,
            "mode": info.mode,
            "startedAt": info.started_at.isoformat(),
            "pages": len(pages),
            "insertedRows": published.inserted,
            "updatedRows": published.updated,
        }
        return properties_of(info.run_id, intent.number, told)

    def _duplicates(self) -> int:
        repeated = sum(part.repeated for part in self._staging.parts())
        repeated += sum(page.received - page.kept for page in self._staging.pages.values())
        return repeated + self._record.report.duplicate_rows

    def _finish(self) -> None:
        noted = look(self._lake, self._record.places).noted
        kept = {**self._record.notes, **notes(self._lake, self._record.places, noted)}
        self._record = replace(self._record.as_committed(), notes=kept)
        self._ledger.keep(self._record)
        self._staging.drop()

    def _is_made(self, version: Version) -> bool:
        return version.commits_of(self._record.info.run_id) > self._record.commits

    def _found(self) -> Record | None:
        return self._ledger.find(self._record.info.table, self._record.info.run_id)

    def _is_own(self) -> bool:
        found = self._found()
        return found is not None and found.owner == self._record.owner

    def _require_own(self) -> None:
        if not self._is_own():
            raise StorageError(
                f"another run into {self._table.label} has taken the place of this one; what this"
                " one fetched is not published"
            )

    def _report(self, published: Published) -> LoadReport:
        inserted, updated = published.inserted, published.updated
        duplicates = self._duplicates()
        before = self._record.report
        if not self._record.published:
            return LoadReport(inserted + updated, inserted, updated, duplicates)
        inserted += before.inserted or 0
        if self._record.info.mode in ("create", "replace"):
            # The table held only this run's rows, so what was updated now are its duplicates.
            return LoadReport(inserted, inserted, 0, duplicates + updated)
        updated += before.updated or 0
        return LoadReport(inserted + updated, inserted, updated, duplicates)

    @contextmanager
    def _doing(self, doing: str) -> Iterator[None]:
        self._bench.resumes()
        with failures.translated(doing, secrets=self._secrets):
            yield
