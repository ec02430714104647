"""Versions of profiles, of a sink that claims ``sync`` and keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from mixpanel_fetch.testing.cases import Row
from mixpanel_fetch.testing.sink_bench import SinkBench
from mixpanel_fetch.testing.sink_sync import BEGAN, DAY, FULL, NEWEST, people, state_of, sync

VERSIONED = replace(FULL, history=True)
PARTLY = replace(VERSIONED, kind="incremental", since=NEWEST)


class SinkHistoryTests:
    """Skipped where the case says ``history=False``."""

    def test_versions_tell_what_held_when(self, bench: SinkBench) -> None:
        """One begins and ends where another content comes, and ends where the profile is gone."""
        _needs_history(bench)
        sync(bench, {0: people("a", "b", "gone", n=1)}, VERSIONED)
        sync(bench, {0: people("a", n=2)}, PARTLY, started_at=BEGAN + DAY)
        sync(
            bench,
            {0: people("a", n=2), 1: people("b", "new", n=1)},
            VERSIONED,
            started_at=BEGAN + 2 * DAY,
        )
        held = [
            {},
            {"a": 1, "b": 1, "gone": 1},
            {"a": 2, "b": 1, "gone": 1},
            {"a": 2, "b": 1, "new": 1},
        ]
        for day, expected in enumerate(held, -1):
            found = _held_at(bench, BEGAN + day * DAY)
            wanted = sorted((one, {"n": n}) for one, n in expected.items())
            assert found == wanted, f"{day} days on, the versions must be {wanted}, not {found}"
        state = state_of(bench)
        assert state is not None, "sync_state must tell of a table whose versions are kept"
        assert state.history, "sync_state must say that versions are kept"

    @pytest.mark.parametrize("order", [VERSIONED, PARTLY], ids=["full", "incremental"])
    def test_unchanged_profiles_add_no_version(self, bench: SinkBench, order: Any) -> None:
        """Nor does ``last_seen`` alone, nor another order of properties."""
        _needs_history(bench)
        sync(bench, {0: people("a", "b", x=1, y=2)}, VERSIONED)
        before = _versions(bench)
        again = {0: people("a", x=1, y=2), 1: people("b", seen=NEWEST + DAY, y=2, x=1)}
        sync(bench, again, order, started_at=BEGAN + DAY)
        found = _versions(bench)
        assert len(found) == len(before) == 2, (
            f"2 profiles that did not change have 2 versions, not {len(found)}"
        )

    def test_nobody_ends_in_an_incomplete_run(self, bench: SinkBench) -> None:
        """What changed in it begins all the same."""
        _needs_history(bench)
        sync(bench, {0: people("a", "b", n=1)}, VERSIONED)
        sync(bench, {0: people("a", n=2)}, VERSIONED, complete=False, started_at=BEGAN + DAY)
        found = _held_at(bench, BEGAN + DAY)
        wanted = [("a", {"n": 2}), ("b", {"n": 1})]
        assert found == wanted, f"after an incomplete run the versions are {wanted}, not {found}"

    def test_who_comes_back_begins_again(self, bench: SinkBench) -> None:
        """As a version of its own: there is a time in which nothing held."""
        _needs_history(bench)
        for day, ids in enumerate(("ab", "a", "ab")):
            sync(bench, {0: people(*ids)}, VERSIONED, started_at=BEGAN + day * DAY)
            found = "".join(one for one, _ in _held_at(bench, BEGAN + day * DAY))
            assert found == ids, f"{day} days on, there are versions of {ids}, not of {found}"


def _needs_history(bench: SinkBench) -> None:
    bench.needs("sync")
    if not bench.case.history:
        pytest.skip("the sink keeps no versions")


def _versions(bench: SinkBench) -> list[Row]:
    read = bench.case.versions
    assert read is not None, (
        "the case must say how versions are read (SinkCase.versions), or history=False"
    )
    found = read(bench.table)
    assert found is not None, f"there must be versions of {bench.table}"
    return [*found]


def _held_at(bench: SinkBench, moment: datetime) -> list[tuple[str, Any]]:
    held = [row for row in _versions(bench) if _holds(row, moment)]
    found = [(row["distinct_id"], row["properties"]) for row in held]
    return sorted(found, key=lambda one: (one[0], json.dumps(one[1])))


def _holds(row: Row, moment: datetime) -> bool:
    begin, end = _aware(row["valid_from"]), row["valid_to"]
    return begin <= moment and (end is None or moment < _aware(end))


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
