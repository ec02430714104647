"""Whether what is there is what must be there, or the result says exactly what is not.

Everything is a value: the rows before and after, what the try said, what the destination
remembers. A verdict is a list of complaints, empty where all is well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .reference import Reference, Value, value_of
from .sinks import Memory, Row

Table = Sequence[Row] | None
KEEPS_WHOLE = ("replace", "merge")
"""The modes that publish no partial."""


@dataclass(frozen=True)
class Outcome:
    """What one try said. ``code``: its exit code, negative for the signal that ended it.

    ``document``: the result, None where there is none; ``error`` is the reason then.
    """

    code: int
    document: Mapping[str, Any] | None = None
    error: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Case:
    """One try to be judged.

    ``shortened``: how many rows a short answer may have left out, by page. ``public``: whether a
    part of the run was published before.
    """

    reference: Reference
    before: Table
    after: Table
    outcome: Outcome
    memory: Memory | None
    shortened: Mapping[int, Collection[int]] = field(default_factory=dict)
    public: bool = False


def verdict(case: Case) -> list[str]:
    """Return everything that is wrong."""
    complaints = _manners(case.outcome)
    if case.outcome.code < 0:
        return complaints + _after_a_kill(case)
    document = case.outcome.document
    if document is None:
        return complaints + _after_an_error(case)
    complaints += _arithmetic(case, document)
    complaints += _memory(case, document)
    if document["published"]:
        return complaints + _published(case, document)
    if case.outcome.code == 0:
        complaints.append("exit 0, and nothing was published")
    return complaints + _untouched(case)


# What it says


def _manners(outcome: Outcome) -> list[str]:
    said = f"{outcome.stderr} {outcome.error}"
    bad = ("Traceback", "InternalError", "this is a bug", "Exception ignored", "<Greenlet")
    return [f"{word!r} in what it said: {said[-2000:]}" for word in bad if word in said]


def _after_an_error(case: Case) -> list[str]:
    complaints = _untouched(case)
    if case.outcome.code == 0:
        complaints.append("exit 0 without a result")
    if not case.outcome.error:
        complaints.append("neither a result nor an error")
    return complaints


def _arithmetic(case: Case, document: Mapping[str, Any]) -> list[str]:
    pages = case.reference.pages
    failed = set(document["failed_page_indices"])
    complaints = []
    if not failed <= set(range(len(pages))):
        complaints.append(f"failed pages that do not exist: {sorted(failed)}")
    if document["failed_pages"] != len(failed):
        complaints.append(f"{document['failed_pages']} failed pages, but {len(failed)} named")
    if document["successful_pages"] + len(failed) != len(pages):
        complaints.append(f"{document['successful_pages']} successful pages, {len(failed)} failed")
    least = sum(len(pages[index]) for index in failed if index < len(pages))
    most = least + sum(max(counts) for page, counts in case.shortened.items() if page not in failed)
    if not least <= document["missing_rows"] <= most:
        complaints.append(
            f"missing_rows {document['missing_rows']}, not {least} to {most};"
            f" failed pages: {sorted(failed)}"
        )
    return complaints


def _memory(case: Case, document: Mapping[str, Any]) -> list[str]:
    memory, failed = case.memory, tuple(sorted(document["failed_page_indices"]))
    if memory is None and document["successful_pages"] == 0:
        return []  # nothing landed, so nothing is left behind
    if memory is None or memory.run_id != document["run_id"]:
        return ["the run of the result is not what the destination remembers"]
    if memory.status == "aborted":
        return []
    complaints = []
    if memory.missing != failed:
        complaints.append(f"pages {memory.missing} are to be resumed, {failed} were named")
    whole = document["published"] and not failed
    if (memory.status == "complete") != whole:
        complaints.append(f"remembered as {memory.status}; failed pages: {failed}")
    return complaints


# What is there


def _untouched(case: Case) -> list[str]:
    # Byte for byte: not even the spelling of a JSON text may change.
    if (case.before is None) != (case.after is None):
        return [f"the table {'came' if case.before is None else 'went'}, nothing was to change"]
    if sorted(case.before or (), key=_key) != sorted(case.after or (), key=_key):
        return ["the table was to stay as it was, and did not"]
    return []


def _after_a_kill(case: Case) -> list[str]:
    if not _untouched(case):
        return []
    # Then it must have come to its end before, and the destination knows how that was.
    memory = case.memory
    if memory is None or memory.status not in {"partial", "complete"}:
        return [f"a killed run changed the table, and is remembered as {memory}"]
    return _rows(case, memory.missing)[0]


def _published(case: Case, document: Mapping[str, Any]) -> list[str]:
    failed = document["failed_page_indices"]
    complaints, missing = _rows(case, failed)
    if failed and document["mode"] in KEEPS_WHOLE:
        complaints.append(f"{document['mode']} published a partial: pages {failed} are missing")
    if document["missing_rows"] != missing:
        complaints.append(f"missing_rows says {document['missing_rows']}; {missing} are missing")
    if case.outcome.code == 0 and (failed or missing):
        complaints.append(f"exit 0, and pages {failed} and {missing} rows are missing")
    if case.outcome.code != 0 and not (failed or missing or document["interrupted"]):
        complaints.append(f"exit {case.outcome.code}, and nothing is missing")
    if case.reference.mode in {"create", "replace"} and case.after is not None:
        total = document["total_rows"]
        if total != len(case.after):
            complaints.append(f"total_rows says {total}; {len(case.after)} rows are there")
    return complaints


def _rows(case: Case, failed: Collection[int]) -> tuple[list[str], int]:
    """Compare the table with the pages that landed; count the rows that are missing in all."""
    pages = case.reference.pages
    if case.after is None:
        return ["there is no table"], sum(map(len, pages))
    there = {row[0]: value_of(*row[1:]) for row in case.after}
    complaints = []
    if len(there) != len(case.after):
        complaints.append(f"{len(case.after) - len(there)} ids stand there more than once")
    landed = {index for index in range(len(pages)) if index not in failed}
    expected = case.reference.table(landed)
    missing = sum(len(pages[index]) for index in set(failed) if index < len(pages))
    for index in sorted(landed & case.shortened.keys()):
        left_out = _left_out(case.reference, there, index)
        missing += left_out
        if left_out and left_out not in case.shortened[index]:
            complaints.append(f"page {index} lacks {left_out} rows at its end")
        for profile in pages[index][len(pages[index]) - left_out :]:
            _take_back(case.reference, expected, profile["$distinct_id"])
    versions = case.reference.versions(landed) if case.public else {}
    return complaints + _differences(expected, there, versions), missing


def _left_out(reference: Reference, there: Mapping[str, Value], index: int) -> int:
    """Count the rows at the end of a page that the table does not hold."""
    count = 0
    whole = reference.table({index})
    for profile in reversed(reference.pages[index]):
        identity = profile["$distinct_id"]
        if there.get(identity) == whole[identity]:
            break
        count += 1
    return count


def _take_back(reference: Reference, expected: dict[str, Value], identity: str) -> None:
    base = reference.base()
    if identity in base:
        expected[identity] = base[identity]
    else:
        del expected[identity]


def _differences(
    expected: Mapping[str, Value],
    there: Mapping[str, Value],
    versions: Mapping[str, Collection[Value]],
) -> list[str]:
    complaints = []
    lacking = expected.keys() - there.keys()
    extra = there.keys() - expected.keys()
    changed = [
        identity
        for identity in expected.keys() & there.keys()
        if there[identity] != expected[identity]
        and there[identity] not in versions.get(identity, ())
    ]
    for what, ids in (("missing", lacking), ("extra", extra), ("changed", changed)):
        if ids:
            complaints.append(f"{len(ids)} rows {what}: {', '.join(sorted(ids)[:5])}")
    return complaints


def _key(row: Row) -> tuple[str, str, str]:
    return row[0], row[1], str(row[2])
