"""A sink, a transform and a strategy for mixpanel-fetch, to copy from.

The entry point names this module; mixpanel-fetch imports it and calls its ``register_...``
functions. What each hook promises stands in ``mixpanel_fetch.hookspecs``.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import ne
from pathlib import Path
from urllib.parse import unquote

from marshmallow import Schema, fields

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, TableExistsError
from mixpanel_fetch.hookspecs import (
    BaseEngine,
    BaseLoad,
    SinkSpec,
    StrategySpec,
    TransformSpec,
    hookimpl,
)
from mixpanel_fetch.model import LoadReport, Mode, Page, PageFailure, RunInfo
from mixpanel_fetch.protocols import PageSource, Transform


class CsvEngine(BaseEngine):
    """``example-csv://PATH``: a CSV file, which must not exist yet.

    It claims no capability, so mixpanel-fetch refuses ``--append``, ``--replace`` and ``--merge``
    before it asks for anything.
    """

    def __init__(self, location: str) -> None:
        self.path = Path(unquote(location))

    def check(self, table: str, mode: Mode) -> None:
        """Refuse what would fail after the download as well."""
        if self.path.exists():
            raise TableExistsError(f"{self.path} exists already; name another file")
        if not self.path.parent.is_dir():
            raise ConfigError(f"there is no directory {self.path.parent}")

    def begin(self, table: str, mode: Mode, run: RunInfo) -> CsvLoad:
        """Open the file that the rows go to until commit."""
        return CsvLoad(self.path)


class CsvLoad(BaseLoad):
    """Columns ``distinct_id``, ``properties`` (JSON) and ``last_seen`` (ISO 8601, may be empty)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.file = self.part.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        self.writer.writerow(["distinct_id", "properties", "last_seen"])
        self.rows = self.repaired = 0

    def write(self, page_index: int, batch: Batch) -> int:
        """Write one page; returns its rows. CSV knows no NUL: in an id it becomes U+FFFD."""
        ids = [one.replace("\0", "\ufffd") for one in batch.distinct_ids]
        self.repaired += sum(map(ne, ids, batch.distinct_ids))
        self.rows += len(batch)
        properties = (text.decode() for text in batch.properties)
        seen = (moment.isoformat() if moment else "" for moment in batch.last_seen)
        self.writer.writerows(zip(ids, properties, seen, strict=True))
        return len(batch)

    def commit(self) -> LoadReport:
        """Give the file its name, now that it is whole."""
        self.file.close()
        self.part.rename(self.path)
        return LoadReport(total_rows=self.rows, repaired_values=self.repaired)

    def abort(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        self.part.unlink(missing_ok=True)


def keep_fraction(argument: str | None) -> Transform:
    """Return a transform that keeps this share of the profiles, always the same ones.

    ``argument`` is a number from 0 to 1. Raises ConfigError for anything else.
    """
    try:
        fraction = float(argument or "")
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        raise ConfigError("keep-fraction needs a number from 0 to 1, as in keep-fraction:0.5")

    def keep(batch: Batch) -> Batch:
        kept = [_position(distinct_id) < fraction for distinct_id in batch.distinct_ids]
        return Batch(
            list(compress(batch.distinct_ids, kept)),
            list(compress(batch.properties, kept)),
            list(compress(batch.last_seen, kept)),
        )

    return keep


def _position(distinct_id: str) -> float:
    """Return where in [0, 1) the id stands. Not ``hash``, which differs from run to run."""
    digest = hashlib.blake2b(distinct_id.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


class EveryOther:
    """Fetch every other page first, one at a time, then those in between."""

    def __init__(self, max_workers: int | None = None, *, odd_first: bool = False) -> None:
        self.odd_first = odd_first

    def run(self, source: PageSource, pages: Sequence[int]) -> Iterator[Page | PageFailure]:
        """Yield each page's outcome once."""
        for index in sorted(pages, key=lambda index: (index % 2 == 0) == self.odd_first):
            yield source.attempt(index)


class EveryOtherOptions(Schema):
    """``odd_first``: begin with the odd pages instead of the even ones."""

    odd_first = fields.Boolean(load_default=False)


@hookimpl
def register_sinks() -> Iterable[SinkSpec]:
    """Return the sink ``example-csv``."""
    return [SinkSpec("example-csv", CsvEngine, summary="a new CSV file")]


@hookimpl
def register_transforms() -> Iterable[TransformSpec]:
    """Return the transform ``keep-fraction``."""
    summary = "keep a share of the profiles: keep-fraction:0.5"
    return [TransformSpec("keep-fraction", keep_fraction, summary=summary)]


@hookimpl
def register_strategies() -> Iterable[StrategySpec]:
    """Return the strategy ``every-other``."""
    summary = "the even pages, then the odd ones"
    return [StrategySpec("every-other", EveryOther, EveryOtherOptions, summary)]
