"""Which rows give way to others of the same id. All of it in SQL, so that memory stays flat.

What is found stands in a table ``gone``: the place of a file in a list of files, the row in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mixpanel_fetch_delta.bench import Bench, read
from mixpanel_fetch_delta.rows import numbers

Spans = Iterable[tuple[int, int, int]]
"""The place of a file, the first row of a page in it, and the page's number."""

_REPEATED = """CREATE OR REPLACE TABLE repeated AS
    SELECT distinct_id FROM {files} GROUP BY distinct_id HAVING count(*) > 1"""
# Ids repeat rarely, so only those that do are looked at row by row. A page has an id once.
_EARLIER = """CREATE OR REPLACE TABLE gone AS
    SELECT file, row FROM (
        SELECT held.file, held.row, row_number() OVER (
            PARTITION BY distinct_id ORDER BY spans.page DESC) AS nth
        FROM (SELECT distinct_id, file_index::BIGINT AS file, file_row_number AS row
            FROM {files} WHERE distinct_id IN (FROM repeated)) AS held
        ASOF JOIN spans ON held.file = spans.file AND held.row >= spans.first)
    WHERE nth > 1"""
_SUPERSEDED = """CREATE OR REPLACE TABLE gone AS
    SELECT file_index::BIGINT AS file, file_row_number AS row FROM {held}
    WHERE distinct_id IN (SELECT distinct_id FROM {new})"""


def find_repeated(bench: Bench, files: Sequence[Path], spans: Spans) -> Mapping[int, int]:
    """Find rows whose id a later page has, too; return how many of them each file has."""
    if not files:
        return {}
    bench.sql(_REPEATED.format(files=read(files)))
    ((some,),) = bench.sql("SELECT count(*) FROM repeated")
    if not some:
        return {}
    placed = list(zip(*spans, strict=True))
    where = numbers(file=placed[0], first=placed[1], page=placed[2])
    bench.sql(_EARLIER.format(files=read(files)), spans=where)
    return _by_file(bench)


def find_superseded(bench: Bench, held: Sequence[Path], new: Sequence[Path]) -> Mapping[int, int]:
    """Find rows of ``held`` whose id is in ``new``; return how many each file of ``held`` has."""
    if not held or not new:
        return {}
    bench.sql(_SUPERSEDED.format(held=read(held), new=read(new)))
    return _by_file(bench)


def remaining(files: Sequence[int]) -> str:
    """Return the condition that keeps what is not ``gone``, of files at these places."""
    places = ", ".join(map(str, files))
    return (
        "AS held WHERE NOT EXISTS (FROM gone WHERE gone.row = held.file_row_number"
        f" AND gone.file = [{places}][held.file_index::BIGINT + 1])"
    )


def _by_file(bench: Bench) -> dict[int, int]:
    return {
        int(file): int(rows)
        for file, rows in bench.sql("SELECT file, count(*) FROM gone GROUP BY file")
    }
